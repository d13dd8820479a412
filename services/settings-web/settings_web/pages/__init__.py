"""The four Settings pages, sign-in, and the way to Microsoft and back."""
