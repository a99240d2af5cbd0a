"""Rate limits: requests and tokens per minute and day, for each project and model."""
