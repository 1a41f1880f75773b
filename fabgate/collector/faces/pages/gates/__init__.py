"""The pages about gates: their state, journal and commands."""
