"""Programs' identities in a project."""
