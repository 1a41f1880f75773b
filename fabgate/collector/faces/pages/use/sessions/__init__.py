"""The list of sessions, the page of one session, and its correction."""
