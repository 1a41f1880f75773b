"""What runs: ingest, web, worker, and what starts, copies and restores them."""
