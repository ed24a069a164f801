"""The exam of labels of which a row has any number: scores, baselines, temperatures and thresholds."""
