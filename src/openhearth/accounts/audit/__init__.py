"""The audit log: who did what to the organization, from where."""
