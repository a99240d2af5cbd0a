"""Engines: processes that speak OpenAI's wire on a private socket, and the pool that owns them. No web framework, no database."""
