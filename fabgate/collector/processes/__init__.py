"""The processes ingest, web and worker, and how they are started, copied and restored."""
