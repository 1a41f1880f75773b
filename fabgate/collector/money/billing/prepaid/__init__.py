"""Prepaid credit: settlements, the ledger of each payer, balances, and which payers are out of credit."""
