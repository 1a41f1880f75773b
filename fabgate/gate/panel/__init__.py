"""The panel: the light, sounds and texts that a person sees and hears at the machine."""
