"""``fabgate selftest`` and ``fabgate calibrate``: a person watches a running gate. Nothing here can switch power."""
