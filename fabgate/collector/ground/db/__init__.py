"""How rows are read and written, the audit log, and the order of locks."""
