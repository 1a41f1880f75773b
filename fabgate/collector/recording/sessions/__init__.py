"""Sessions, derived from entries; their sums, the ledger, corrections and reports."""
