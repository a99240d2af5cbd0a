"""The installation's one organization."""
