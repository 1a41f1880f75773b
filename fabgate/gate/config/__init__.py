"""The configuration of a gate: gate.yaml, and the keys that it names."""
