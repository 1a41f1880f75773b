"""Storing one batch of messages: one transaction, then the acknowledgements."""
