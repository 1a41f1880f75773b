"""``fabgate collector doctor``: what can be checked on the spot of a collector, its computer and its broker."""
