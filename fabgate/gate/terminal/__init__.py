"""What the verbs of a gate do and print."""
