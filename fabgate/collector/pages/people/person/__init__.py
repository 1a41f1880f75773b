"""The page of one person, its actions, and adding or editing a person."""
