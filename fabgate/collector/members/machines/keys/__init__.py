"""Who uses the keys of gates: copies that show themselves, and gates that are cut off."""
