"""The connection to the MQTT broker, and the messages that pass through it."""
