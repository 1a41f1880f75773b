"""What does a gate cost that runs: its start, memory, processor time, writes, and the way of its entries?"""
