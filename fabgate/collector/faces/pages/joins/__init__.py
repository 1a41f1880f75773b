"""The pages about gates that join with a code."""
