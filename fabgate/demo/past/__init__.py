"""The past of the demo's workshop: ten weeks of members, sessions and refusals, so that no page is empty at first."""
