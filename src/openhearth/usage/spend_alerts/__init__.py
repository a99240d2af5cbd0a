"""Alerts: who is told when this much was spent in a month."""
