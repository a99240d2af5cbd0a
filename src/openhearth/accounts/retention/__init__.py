"""What may be kept of requests."""
