"""Keeps what is charged up to date with what was used, and closes months."""
