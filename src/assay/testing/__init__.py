"""Contracts of what can be added to assay, as functions that a test of the new part calls."""
