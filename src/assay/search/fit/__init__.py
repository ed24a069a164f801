"""From examples to a model: the networks of a plan, and what is trained and chosen beside them."""
