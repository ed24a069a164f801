"""The report as a page, a card and a terminal summary."""
