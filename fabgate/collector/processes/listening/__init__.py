"""How the web process is reached: its sockets, TLS, and the limits of connections."""
