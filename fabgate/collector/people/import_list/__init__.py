"""How a list of members is read, previewed and stored."""
