"""Draws what hardware/ describes: wiring, lists, labels, schematic and enclosure. Run by ``make hardware``."""
