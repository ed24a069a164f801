"""What a model carries beside its answers: sets and intervals that hold the truth, and what rows usually look like."""
