"""Scores with intervals, baselines, comparisons, calibration."""
