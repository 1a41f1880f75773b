"""Pages about sinks: accounting and billing programs, and what each got."""
