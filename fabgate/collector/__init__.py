"""The collector: what every gate's entries become, stored once, in one Django project with one app."""
