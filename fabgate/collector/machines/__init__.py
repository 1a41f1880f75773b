"""Rules, presets, locks and commands of machines, and how a gate is enrolled."""
