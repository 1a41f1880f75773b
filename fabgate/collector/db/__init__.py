"""How rows are read and written, how changes are audited, and in which order locks are taken."""
