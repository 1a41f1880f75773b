"""What is each person's own: sign-ins, password, language and colours?"""
