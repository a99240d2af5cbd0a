"""Usage and costs: what was used by whom, what it costs, how much may be spent."""
