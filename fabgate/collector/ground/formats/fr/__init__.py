"""French formats of Django, with the word "à" between date and time."""
