"""Turns YAML files into typed sections: the configurations of gate and collector."""
