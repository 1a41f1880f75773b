"""What the doctors of gate and collector share: findings, and what is true of any computer.

Judging is pure: a function takes facts and returns a ``Finding``. Reading is separate, so that a test gives facts by
files below a folder of its own.
"""
