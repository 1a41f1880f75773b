"""What the last verification of the books found, in words and as a document."""
