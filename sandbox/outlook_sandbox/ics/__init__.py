"""Calendars as other programs know them: .ics files, loaded and written."""
