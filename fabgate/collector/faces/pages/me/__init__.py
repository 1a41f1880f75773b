"""Each person's own account: sign-ins and password."""
