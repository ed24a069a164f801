"""Pictures: one of them as pixels, where they lie, and all of a table in one file."""
