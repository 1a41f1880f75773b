"""Usage by machine, person and category, with charts."""
