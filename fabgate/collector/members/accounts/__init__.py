"""Accounts: who signs in, with which password, in which browser."""
