"""The benchmarks behind each promised figure: ``make bench`` and ``make bench-collector``.

A measurement is a function with the name of its id: its docstring says how, its figures say what and with which goal. A gate
is measured in ``taps`` and ``running``, a collector in ``intake`` and ``workshop``; ``gates``, ``collector`` and ``peers``
start what they need. Everything is real: the daemon with its threads, a journal on the repository's disk, the `mfrc522`
package on the emulated chip, Mosquitto, processes. A shared computer is noisy, so each figure is the median of five passes,
and the two sides of a ratio take turns within a pass. A figure that misses its goal is reported; only a measurement that
breaks is an error.
"""
