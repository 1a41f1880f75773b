"""Who signs in, with which password, from which browser."""
