"""The arguments and the help of each verb of ``fabgate collector``, in one file for each area."""
