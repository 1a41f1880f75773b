"""What an event leads to: a tap, a button, a cause, lost access.

These modules return intents, which ``power`` carries out. The functions read what is known of the machine and change
nothing; ``flags`` and ``refusals`` keep a small state of their own.
"""
