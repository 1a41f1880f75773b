"""A member's own sessions, badges and permissions."""
