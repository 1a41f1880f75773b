"""Machines: their rules, presets, locks and commands, and the enrolment of gates."""
