"""What programs, gates and monitors request over HTTP."""
