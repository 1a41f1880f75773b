"""What entries add up to: sessions, sums, the ledger, corrections, reports."""
