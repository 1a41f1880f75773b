"""The journal: every event at this machine, on disk before it counts."""
