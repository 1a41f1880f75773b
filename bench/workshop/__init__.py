"""How fast are the pages, files, bills and checks of a collector with years of sessions?"""
