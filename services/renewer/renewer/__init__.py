"""Graph subscriptions: create, renew, recreate, delete."""
