"""Synthetic rows: generators of tables, and what tells whether their rows can be used."""
