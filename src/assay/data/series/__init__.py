"""Series: their steps on a clock, rows folded into them, and windows as a schema has them."""
