"""What services must agree on, do alike, and the outside world."""
