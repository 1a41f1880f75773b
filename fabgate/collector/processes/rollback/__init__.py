"""The way back from an update that changed the tables: a copy from before it, what would be lost, and going back."""
