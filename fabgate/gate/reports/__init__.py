"""Translates what the threads report into events for the rules, journal entries, and the gate's list of problems.

One file translates what one source reports. ``reports`` asks them one after the other.
"""
