"""Who changed what?"""
