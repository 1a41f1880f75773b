"""What does a member see of themselves?"""
