"""Tests of the move from an installation by hand to the Debian packages."""
