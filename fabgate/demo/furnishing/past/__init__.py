"""The made-up history of the demo: ten weeks of members, sessions and refusals, so that no page is empty at first."""
