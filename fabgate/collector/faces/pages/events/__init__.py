"""Server-sent events that tell open pages what changed."""
