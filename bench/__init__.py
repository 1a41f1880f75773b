"""How fast, how small and how steady is it? A figure for each promise: ``make bench`` and ``make bench-collector``.

One file a measurement, named as its id is; ``harness`` holds what they share, ``gates`` the gates that they run,
``collector`` the collectors and ``light_gates`` many gates at once. All of it is real: the daemon with its threads, a journal on the repository's disk, the `mfrc522` package on the emulated chip,
Mosquitto, processes. The computer is shared and noisy, so each figure is the median of five passes, and where it is a
ratio the two sides take turns within a pass. A figure that misses its goal is reported; only a measurement that breaks
is an error.
"""
