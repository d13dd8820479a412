"""A plain OpenID Connect provider for Attendara's own users; nothing in it is Microsoft's."""
