"""The Debian package of the gate on real kernels, with pins that are seen from outside: ``make test-vm``, and CONTRIBUTING.md.

A guest in QEMU runs Debian 13 with its own kernel, systemd, and the package as it is shipped. Its pins are those of gpio-sim, the
kernel's own simulator of pins (``kernel.py``). Each change of the output line is written by the guest's kernel itself, at the
moment of the change, to a port of the emulated processor; this computer reads it there and takes the time.

This proves, for pins that keep their level when a program dies and for pins that do not: in which order the line, the faults
and the starts come, and that the line never goes on without a badge. It proves nothing about the hardware of a Raspberry Pi:
that a reset of its processor makes each pin an input, and that the pull-down then holds the line low, is taken from its data
sheet, and so a reset counts as off here. The times are those of an emulated processor on this computer, with the load that is
printed beside them; no case depends on them.
"""

import pytest

# What asserts here says what it found, as a test does.
pytest.register_assert_rewrite("tests.vm.machine", "tests.vm.line")
