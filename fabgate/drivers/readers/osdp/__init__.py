"""The driver of readers that speak OSDP on RS-485 (SIA OSDP v2.2, IEC 60839-11-5), always in a secure channel.

The gate is the control panel, which asks; the reader is the peripheral device, which answers. ``reader`` is the driver,
``link`` asks one device, ``secure_channel`` has the keys and seals, ``frames`` the bytes, ``line`` the serial line, and
``keys`` the file with the key.
"""
