"""A month for the people who keep the books: its payers and all its lines, with names, as tables for spreadsheets."""
