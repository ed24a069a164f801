"""What each practice of a run earned: which networks are trained for it, and what their answers say."""
