"""The made-up history of the demo: ten weeks of members, sessions, refusals and money, so that no page is empty at first."""
