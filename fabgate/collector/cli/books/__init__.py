"""Checks the books."""
