"""Probabilities that mean what they say: maps fitted on validation rows, and tests on test rows."""
