"""Imports a list of members: reads, previews and stores it."""
