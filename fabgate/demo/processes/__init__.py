"""The workshop's processes: broker, collector and gates, with the cable and the ports between them."""
