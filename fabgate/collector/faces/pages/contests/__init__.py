"""Contests of charges, lines and credit: the member's page, the answer, and the evidence for a session."""
