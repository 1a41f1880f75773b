"""Who may use which machine, when it is open, and the roster that tells a gate."""
