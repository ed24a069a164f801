"""The portable artefact: written with torch, read and run without it."""
