"""The demo's wall of badges, on which a newcomer takes a badge and taps it on a machine.

Only with FABGATE_SIMULATED.
"""
