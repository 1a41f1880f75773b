"""Prices what members used. docs/billing.md explains it for the person who keeps the accounts."""
