"""The pages about people: who they are, what they may use, and which badges they have."""
