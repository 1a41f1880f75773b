"""The pages that people open, one package an area: `urls.py` with its routes and rights, views, and what they show."""
