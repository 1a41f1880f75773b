"""Who may use which machine, when it is open, and the roster that says so to a gate."""
