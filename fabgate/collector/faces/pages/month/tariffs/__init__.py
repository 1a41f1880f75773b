"""Tariffs: the rules in force, new ones, and trying them out."""
