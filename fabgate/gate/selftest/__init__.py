"""``fabgate selftest``: a person watches a running gate, step by step. Nothing here can switch power."""
