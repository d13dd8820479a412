"""Notifications on their way to the clients' addresses."""
