"""Statements of a month: pages, files, the workshop at their head, and archives of closed months."""
