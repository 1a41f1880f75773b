"""Lists and tables: one page after another, and the order that their headers choose."""
