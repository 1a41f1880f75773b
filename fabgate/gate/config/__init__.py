"""What gate.yaml says, and the keys that it names."""
