"""The tables of sessions: their figures, corrections and reviews, the ledger, and sums."""
