"""What gates report, stored exactly once: messages, entries, and the sessions that follow from them."""
