"""How do gate and collector use paho, the MQTT library? Clients, the loop that drives them, and their properties."""
