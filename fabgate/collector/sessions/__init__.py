"""Sessions, which entries add up to: their sums, the ledger, corrections and reports."""
