"""The pages about machines: their rules, access and opening hours."""
