"""The daemon next to one machine: a thin shell around ``rules``.

One inbox, one owner. ``daemon`` waits on a queue until the next deadline, asks the rules, and carries out their
commands; only it touches state and power. Everything that blocks (reader, disk, network) has one thread of its own that
only posts events. ``journal/`` is the record and the outbox of all entries, ``journal/recorder`` its thread;
``uplink/`` delivers it.
"""
