"""The arguments and the help of the verbs for billing."""
