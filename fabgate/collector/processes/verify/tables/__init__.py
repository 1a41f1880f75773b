"""Compares the tables that people change with the audit log."""
