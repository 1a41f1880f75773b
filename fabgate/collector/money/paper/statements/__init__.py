"""Statements as people read them, in the language of the payer: rows, PDF, CSV and e-mails."""
