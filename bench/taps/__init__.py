"""How fast does a gate decide, switch and show?"""
