"""Sinks against the real programs: ``make test-engines``, which is no part of ``make test``."""
