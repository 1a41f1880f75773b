"""The gates that are measured: the real daemon, in this process or its own, with its files on the real disk."""
