"""Texts as networks and linear models take them, and what is told of them: languages, copies, other spellings."""
