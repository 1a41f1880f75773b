"""Assigning badges: as typed, as read by a USB reader, or as refused by a gate."""
