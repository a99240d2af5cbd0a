"""Chat completions: what the engine does, passed on as it comes; what it ignores or bends, done here."""
