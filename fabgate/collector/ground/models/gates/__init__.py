"""The tables about how gates come to the collector."""
