"""Several networks as one model, and one network in the place of several."""
