"""The pages of the sandbox's Microsoft 365: where to begin, and a calendar like Outlook's."""
