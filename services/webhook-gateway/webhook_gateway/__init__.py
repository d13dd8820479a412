"""Graph's change notifications: verify, publish, answer."""
