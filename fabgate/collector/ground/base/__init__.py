"""The base of the collector: environment, data folder, logs and times."""
