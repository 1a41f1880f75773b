"""Where does a person begin?"""
