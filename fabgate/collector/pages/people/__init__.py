"""Who are the people, what may they use, and which badges do they carry?"""
