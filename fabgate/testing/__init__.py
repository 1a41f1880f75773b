"""The contract tests of drivers and sinks, for those of this package and of other packages, and emulated hardware for them."""

import sys

# An author who runs them sees what was found and what was wanted.
if "pytest" in sys.modules:
    sys.modules["pytest"].register_assert_rewrite(
        *(f"{__name__}.{name}" for name in ("readers", "outputs", "panels", "meters", "sinks"))
    )
