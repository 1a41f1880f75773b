"""The page of one person with its actions, and the forms that add or edit a person."""
