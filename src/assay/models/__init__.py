"""Networks: pure modules from typed options, no reading and no writing."""
