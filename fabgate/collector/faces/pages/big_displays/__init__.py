"""Big displays: all machines of the workshop on one screen, opened by a link that needs no account."""
