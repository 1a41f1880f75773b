"""One file for each kind of sink; the contract is in sinks/contract.py."""
