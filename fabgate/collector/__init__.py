"""The collector: what every gate's entries become, stored once, in one Django project with one app."""

from pathlib import Path

#: Where database and keys are kept unless FABGATE_DATA says otherwise.
DEFAULT_DATA = "/var/lib/fabgate-collector"
#: What browsers load beside pages.
STATIC = Path(__file__).with_name("static")
