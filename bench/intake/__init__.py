"""How fast does a collector take entries, and tell pages and gates?"""
