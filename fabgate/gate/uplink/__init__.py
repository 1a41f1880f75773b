"""The connection to the broker: entries out, acknowledgements, commands and rosters in."""
