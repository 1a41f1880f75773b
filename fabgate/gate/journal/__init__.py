"""The journal: what happened at this machine, on disk before it counts."""
