"""How gate and collector use paho, the MQTT library: clients, the loop that drives them, and message properties."""
