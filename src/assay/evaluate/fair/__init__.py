"""What a model does to the groups of columns that the user named as sensitive."""
