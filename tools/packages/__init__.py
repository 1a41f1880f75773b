"""Builds the Debian packages of fabgate, and a signed apt repository around them: ``python -m tools.packages``."""
