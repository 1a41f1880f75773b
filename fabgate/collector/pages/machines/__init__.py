"""Which machines are there, how do they behave, and when are they open?"""
