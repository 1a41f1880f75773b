"""What the gate's verbs do, and what they print."""
