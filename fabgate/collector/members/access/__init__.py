"""Who may use which machine, when it is open, and the rosters that gates get."""
