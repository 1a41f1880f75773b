"""Recomputes the books from what was recorded, and compares them with what is stored."""
