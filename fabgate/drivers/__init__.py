"""Everything that touches hardware: one file a device, one small contract a kind.

A driver is a plain object with a few blocking methods. It knows its contract and nothing else of fabgate; the gate
owns the thread that calls it, and finds it by entry point (``fabgate.readers``, ``fabgate.outputs``,
``fabgate.panels``), ours through the same door as a stranger's. Each driver class has an ``Options`` attribute, a
frozen msgspec Struct decoded from its own section of gate.yaml with unknown keys refused, and takes one instance of
it as its only argument. ``emulated/`` holds the hardware that demo and tests put below the real libraries.
"""
