"""The audit of the data before training: columns, rows, files, texts, series and pictures."""
