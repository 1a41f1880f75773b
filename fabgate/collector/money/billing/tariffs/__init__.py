"""Which rule applies to a session, how a rule is typed, and what no rule covers."""
