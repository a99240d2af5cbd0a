"""Keys as owners manage them: projects' keys, users' own, admin keys."""
