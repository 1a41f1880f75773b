"""Which programs may ask for what?"""
