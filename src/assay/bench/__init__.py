"""Configurations compared over many tables and seeds: what is run, how it goes on, and what may be concluded."""
