"""Rows to the numbers and codes that networks take, in memory or in files beside it."""
