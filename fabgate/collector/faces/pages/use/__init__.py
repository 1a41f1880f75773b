"""The pages about use: sessions, reports, reviews and refusals."""
