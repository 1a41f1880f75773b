"""How does a person get in, and out again?"""
