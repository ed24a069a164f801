"""Sources of every kind, files and what is in memory, to one table."""
