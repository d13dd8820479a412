"""A local Microsoft 365: sign-in, Graph calendar, webhooks, an Outlook-like page."""
