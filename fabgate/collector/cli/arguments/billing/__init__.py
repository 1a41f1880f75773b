"""How are the verbs about billing called, and what does their help say?"""
