"""The gate's status and the machine's state: published, written to status.json, shown in a terminal."""
