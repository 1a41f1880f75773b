"""The accounts at the collector's own broker: made from the database, and changed while the broker runs.

Mosquitto's plugin "dynamic security" keeps accounts and rights in memory, and reads them from a file when the broker starts
(docs/decisions/0145). That file is made from the database (`document`); afterwards the worker compares what the broker has
with the database, and changes what differs (`keeper`). Nothing else tells the broker about accounts.
"""
