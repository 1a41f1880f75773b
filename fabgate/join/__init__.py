"""How a gate joins with one code that a person types: what gate and collector both have to know.

``code`` is that code, ``exchange`` how both sides agree on a key by it, and ``messages`` what they send each other. The
design, byte by byte, is docs/decisions/0148.
"""
