"""Subgroups of rows: named by conditions, or searched for where a model is weak."""
