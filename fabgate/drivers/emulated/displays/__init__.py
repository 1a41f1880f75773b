"""Displays in software, for tests, for pictures, and for demos: each decodes the bytes on its bus as the chip would."""
