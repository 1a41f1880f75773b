"""The web pages, one package for each area: routes and rights in `urls.py`, views, forms and labels."""
