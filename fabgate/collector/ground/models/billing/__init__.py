"""The tables of billing: its terms, plans and tariffs."""
