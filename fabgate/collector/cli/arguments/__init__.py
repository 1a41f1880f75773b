"""How is each verb of ``fabgate collector`` called, and what does its help say? One file for each area."""
