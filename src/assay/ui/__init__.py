"""A workspace in the browser: a leaderboard of its runs, their pages, and the curves of those in progress."""
