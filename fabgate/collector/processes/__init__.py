"""The processes ingest, web and worker, and how they are started, backed up and restored."""
