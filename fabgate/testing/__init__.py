"""The tests of each driver's contract, for drivers of ours and of other packages."""
