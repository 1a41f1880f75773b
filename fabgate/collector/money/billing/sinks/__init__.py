"""Sinks: accounting and billing programs, and how each gets every charge or session once."""
