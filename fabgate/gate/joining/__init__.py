"""How this gate joins a collector with a code: ``steps`` in their order, its ``requests``, and the ``files`` that it writes."""
