"""The steps of setup. Each one looks at the computer, says what is missing, and does that only.

So setup can be run again at any time: after a kill, after a change of names, or to put right what somebody broke.
"""
