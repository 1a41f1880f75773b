"""A workshop in a box: real gates, a real collector, an embedded broker; only chips and pins are emulated.

Each simulated gate is the real daemon in a process of its own, run by the same command as on a Pi. An observer outside
the process watches its pins through a pipe, so that the records can be compared with the machine's real power.
"""
