"""Sessions, usage and refusals as files."""
