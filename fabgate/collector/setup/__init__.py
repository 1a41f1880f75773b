"""How a computer becomes the collector of a workshop: authority, certificates, broker, clock and firewall."""
