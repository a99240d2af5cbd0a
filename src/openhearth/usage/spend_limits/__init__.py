"""Hard limits of what may be spent in a month: set and shown here, held by `usage.spend_gate`."""
