"""What runs: ingest, web and worker; their start, backups and restores; and what examines them, verify and doctor."""
