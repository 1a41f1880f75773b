"""What a gate or a collector works with, or is compared with, while it is measured."""
