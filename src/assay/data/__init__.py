"""Raw sources to rows: read, schema, audit, split, encode."""
