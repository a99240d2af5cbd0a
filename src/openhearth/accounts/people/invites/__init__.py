"""Invitations into the organization."""
