"""``fabgate doctor``: what can be checked on the spot of a gate, its Pi and its connections. It disturbs no gate that runs."""
