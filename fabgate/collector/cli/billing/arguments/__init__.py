"""The arguments of the verbs about billing, their help, and those that several verbs have."""
