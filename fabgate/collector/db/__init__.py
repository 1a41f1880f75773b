"""Reading and writing rows, the audit log, and the order of locks."""
