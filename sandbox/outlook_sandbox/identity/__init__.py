"""The Microsoft identity platform's side of the wire: sign-in, consent, tokens and the keys that prove them."""
