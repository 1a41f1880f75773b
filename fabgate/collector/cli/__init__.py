"""The verbs of `fabgate collector`."""
