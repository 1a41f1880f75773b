"""The usage of sessions that sinks receive: each change, events for a meter, or the usage of a month as a whole."""
