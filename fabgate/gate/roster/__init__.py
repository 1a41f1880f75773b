"""Rosters: where they come from, how they are stored, and which one is in force."""
