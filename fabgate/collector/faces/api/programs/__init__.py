"""What billing programs read: sessions, charges and statements."""
