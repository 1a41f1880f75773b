"""What a person sees and hears at the machine."""
