"""Models that the loop does not train, or not alone: trees, closed forms, pretrained ones, and those of the user."""
