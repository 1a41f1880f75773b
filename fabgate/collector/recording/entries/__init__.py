"""What gates wrote: entries, journals and their gaps; the dates of boots, and which gate clocks are wrong."""
