"""The collector: stores the entries of all gates, and serves pages and rosters. One Django project with one app."""

from pathlib import Path

#: The folder of database and keys if FABGATE_DATA is not set.
DEFAULT_DATA = "/var/lib/fabgate-collector"
#: Static files of the pages.
STATIC = Path(__file__).with_name("static")
