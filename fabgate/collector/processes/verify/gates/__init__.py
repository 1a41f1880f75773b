"""Checks what gates have sent: entries with their journals, and refused badges."""
