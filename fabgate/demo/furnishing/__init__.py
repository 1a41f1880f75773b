"""The contents of the workshop when the demo opens: machines, people and their history."""
