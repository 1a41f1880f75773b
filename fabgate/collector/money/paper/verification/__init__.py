"""The result of the last verification of the books, as texts and as a document."""
