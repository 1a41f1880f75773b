"""Who pays for a person or a group."""
