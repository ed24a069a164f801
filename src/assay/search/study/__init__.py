"""A search of settings: what proposes them, what judges them, and what is kept and found."""
