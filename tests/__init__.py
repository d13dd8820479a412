"""The tests, and the fixtures and fakes that they share."""
