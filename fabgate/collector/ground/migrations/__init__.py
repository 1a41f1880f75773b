"""The steps that bring a database up to date."""

from typing import Final

#: All of them, in their order. A database with any other one is of a newer version, and a file with another name is left
#: from another version: both are refused. A list of the files would believe what an update left behind.
KNOWN: Final = ("0001_release", "0002_broker_account", "0003_joins", "0004_cards")
