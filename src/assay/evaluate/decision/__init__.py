"""How a class is decided from probabilities, and what decisions are worth."""
