"""Options gathered from presets, files and overrides into one checked configuration."""
