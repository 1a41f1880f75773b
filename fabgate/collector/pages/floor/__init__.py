"""What happens in the workshop now, and what can be done about it from afar?"""
