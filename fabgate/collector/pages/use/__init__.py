"""Sessions, reports, reviews and refusals."""
