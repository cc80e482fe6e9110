"""Alerts: what monitors have found."""
