"""Who was using a machine at a given moment, and how complete the records are."""
