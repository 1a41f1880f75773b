"""The floor: the machines now, and commands to them."""
