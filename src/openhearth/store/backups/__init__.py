"""Backups: one SQLite file with the house's own schema, whichever database it came from and goes to."""
