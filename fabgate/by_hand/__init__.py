"""Moves an installation by hand (docs/install-by-hand.md) to the Debian package, for gate and collector: ``use-package``.

Data, keys and settings stay where they are: both use the same folders and accounts. What moves are units, links and scripts of
``/etc/systemd/system`` and ``/usr/local``, into a folder from which they can come back (docs/decisions/0143).
"""
