"""Code that gate and collector share to use paho, the MQTT library: clients, their loop, and message properties."""
