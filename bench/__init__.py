"""How fast, how small and how steady is it? ``make bench`` answers with a figure for each promise.

One file a measurement, named as its id is; ``harness`` holds what they share, ``gates`` the gates that they run. All of
it is real: the daemon with its threads, a journal on the repository's disk, the `mfrc522` package on the emulated chip,
Mosquitto, processes. The computer is shared and noisy, so each figure is the median of five passes, and where it is a
ratio the two sides take turns within a pass. A figure that misses its goal is reported; only a measurement that breaks
is an error.
"""
