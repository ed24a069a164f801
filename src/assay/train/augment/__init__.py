"""Random changes of training rows, and policies of them."""
