"""What the workshop contains when the demo opens: machines, people and their past."""
