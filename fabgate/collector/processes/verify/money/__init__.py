"""Recomputes what the workshop charges: charges of open months, decisions about money, and the prepaid ledger."""
