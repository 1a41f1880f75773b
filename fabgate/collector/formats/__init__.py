"""How are dates and numbers written, where Django would not write them as a European workshop does?"""
