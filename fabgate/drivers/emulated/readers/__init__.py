"""Readers in software: each sends what its device sends, as low as a gate can listen."""
