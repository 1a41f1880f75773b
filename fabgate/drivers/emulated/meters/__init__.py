"""Meters in software, at the level of their bytes: for demos and tests."""
