"""The operator's one command."""
