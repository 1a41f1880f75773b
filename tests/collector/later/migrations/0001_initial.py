"""The same as this version's."""

from importlib import import_module

Migration = import_module("fabgate.collector.migrations.0001_initial").Migration
