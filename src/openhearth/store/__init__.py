"""Durable state: the database and its migrations."""
