"""The benchmarks behind each promised figure: ``make bench`` and ``make bench-collector``.

Each measurement is a file named after its id. ``harness`` holds what they share, ``gates`` the gates that they run,
``collector`` the collectors, and ``light_gates`` many gates at once. Everything is real: the daemon with its threads, a
journal on the repository's disk, the `mfrc522` package on the emulated chip, Mosquitto, processes. A shared computer is
noisy, so each figure is the median of five passes, and the two sides of a ratio take turns within a pass. A figure that
misses its goal is reported; only a measurement that breaks is an error.
"""
