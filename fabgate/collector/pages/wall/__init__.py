"""How does a newcomer take a badge and tap it on a machine? Only where FABGATE_SIMULATED is set."""
