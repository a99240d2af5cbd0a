"""Projects, and what an owner settles for each."""
