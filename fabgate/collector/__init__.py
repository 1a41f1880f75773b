"""The collector: what every gate's entries become, stored once, in one Django project with one app."""

#: Where database and keys are kept unless FABGATE_DATA says otherwise.
DEFAULT_DATA = "/var/lib/fabgate-collector"
