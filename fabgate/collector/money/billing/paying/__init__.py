"""Who pays: members, groups and organisations, and the numbers by which others know them."""
