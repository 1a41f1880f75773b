"""fabgate: a badge powers a machine, and every minute reaches the collector once."""

__version__ = "0.1.0"
