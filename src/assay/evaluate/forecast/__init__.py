"""The exam of forecasts: scores, baselines and intervals."""
