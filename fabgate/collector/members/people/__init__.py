"""Members, badges, blocks, trainings, and what happens when a person leaves."""
