"""What sessions cost, who pays, and the documents about it."""
