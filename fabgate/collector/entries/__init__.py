"""What gates wrote: entries, journals and their gaps, and the clocks of boots."""
