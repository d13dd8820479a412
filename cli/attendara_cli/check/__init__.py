"""`attendara check`: looks at what runs from outside, and says in plain words what is wrong with it."""
