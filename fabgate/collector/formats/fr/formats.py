"""How are dates written in French pages? As Django does, but for the hour, which is said with its word."""

DATETIME_FORMAT = "j F Y à H:i"
