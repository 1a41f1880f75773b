"""The HTTP API for programs, gates and monitors."""
