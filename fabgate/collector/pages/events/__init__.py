"""How does a page learn that something has changed?"""
