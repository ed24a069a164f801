"""Folders, archives, arrays and cells of pictures as tables with a place for each."""
