"""Everything that trains more than one network."""
