"""Rounds into MongoDB; labels into Outlook."""
