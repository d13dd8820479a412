"""OAuth with Microsoft, the token vault, connections."""
