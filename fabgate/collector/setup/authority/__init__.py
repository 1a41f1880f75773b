"""The certificates of a workshop: an authority of its own, and what it issues for broker and pages."""
