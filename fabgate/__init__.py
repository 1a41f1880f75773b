"""fabgate: a badge powers a machine, and every minute of use is recorded exactly once."""

__version__ = "0.1.0"
