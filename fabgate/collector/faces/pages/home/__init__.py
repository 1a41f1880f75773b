"""The start page, and the choice of language and colours."""
