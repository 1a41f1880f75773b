"""The contract tests of drivers, for those of this package and of other packages, and emulated hardware for them."""
