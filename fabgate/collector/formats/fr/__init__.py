"""French, with a word before the hour."""
