"""The Debian packages, tried in real Debian systems: ``make test-install``, and CONTRIBUTING.md."""

import pytest

# What asserts here says what it found, as a test does.
pytest.register_assert_rewrite("tests.install.computer", "tests.install.kills")
