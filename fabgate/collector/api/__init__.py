"""What programs, gates and monitors ask over HTTP."""
