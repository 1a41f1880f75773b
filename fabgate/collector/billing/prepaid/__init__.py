"""Prepaying: who prepays, the ledger of each payer, balances, and who is out of credit."""
