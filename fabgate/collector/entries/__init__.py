"""What gates wrote: entries, journals, boots and their clocks, gaps."""
