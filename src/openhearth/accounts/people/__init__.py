"""People: users, invites, passwords, sessions, logins."""
