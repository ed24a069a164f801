"""Forecasts: the rhythm of a series, what is checked of it, and the windows that are cut from it."""
