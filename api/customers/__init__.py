"""Customers: the tenants, each with instances."""
