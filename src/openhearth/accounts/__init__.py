"""Who may come in: keys and principals."""
