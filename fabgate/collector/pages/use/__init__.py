"""Who used what?"""
