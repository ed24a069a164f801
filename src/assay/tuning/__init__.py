"""Searches of settings as users ask for them: what is asked, planned, kept in a directory, and what comes of it."""
