"""Everything that touches hardware: one file for each device, one small contract for each kind.

A driver is a plain object with a few blocking methods. It knows its contract and nothing else of fabgate. The gate owns
the thread that calls it, and finds every driver by its entry point (``fabgate.readers``, ``fabgate.outputs``,
``fabgate.panels``), whether it is in this package or in another one. Each driver class has an ``Options`` attribute, a
frozen msgspec Struct that is decoded from its section of gate.yaml with unknown keys refused, and takes one instance of
it as its only argument. ``emulated/`` has the hardware that demo and tests use below the real libraries.
"""
