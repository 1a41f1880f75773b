"""The live demo: a table and keys in the terminal, and the wall in the browser."""
