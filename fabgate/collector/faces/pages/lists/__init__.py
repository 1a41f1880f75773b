"""Lists and tables: their pages, and their order, which readers choose by the headers."""
