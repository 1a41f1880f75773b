"""How are the gates themselves?"""
