"""Credit of payers who prepay: balances, what is paid in and back, and the credits of a day."""
