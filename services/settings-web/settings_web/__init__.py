"""The Settings pages and their API."""
