"""Which networks are trained: decided by the rows, the time and what the user said."""
