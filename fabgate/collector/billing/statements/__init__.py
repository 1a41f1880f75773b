"""What a payer is charged in a month, as a statement that a person reads and keeps, and the archive of a closed month."""
