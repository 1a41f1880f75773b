"""The verbs that begin with ``bill-``: what machines cost, and what a month comes to. They charge nothing."""
