"""Credit of payers who prepay: balances, credits and refunds, and the credits of a day."""
