"""Roles and groups: permissions given together."""
