"""Asks for the password again before a change that concerns money."""
