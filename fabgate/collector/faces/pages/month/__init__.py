"""Billing: what a month comes to, tariffs and plans, and what a tariff would cost."""
