"""The tables of sessions: what counts, corrections and reviews, the ledger, and sums."""
