"""Training, validation and sealed test rows, and folds."""
