"""Emulated outputs: a plug on the network."""
