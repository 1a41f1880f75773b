"""The collectors that are measured: real processes, each with its own data."""
