"""Who may open the pages?"""
