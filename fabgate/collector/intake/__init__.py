"""How one batch of messages is stored: one transaction, then the acknowledgement."""
