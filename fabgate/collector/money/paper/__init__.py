"""What people print and keep: documents as PDF, with the workshop's letterhead."""
