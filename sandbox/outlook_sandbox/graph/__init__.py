"""Microsoft Graph: the calendar, category and subscription requests that Attendara makes of it."""
