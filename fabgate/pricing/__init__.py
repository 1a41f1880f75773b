"""What the time of one session costs under one tariff. Pure: for the gate, the collector and their tests."""
