"""What gates wrote: entries, journals and their gaps, and how the boots of gates get their dates."""
