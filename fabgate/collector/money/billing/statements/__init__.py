"""Statements: the charges of a payer in a month, for a person to read and keep. Also the archive of a closed month."""
