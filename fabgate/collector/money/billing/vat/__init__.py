"""VAT: the rate of each code, and amounts with and without tax."""
