"""Groups: users who get roles together, in the organization and in projects."""
