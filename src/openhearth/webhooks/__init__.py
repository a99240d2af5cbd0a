"""Webhooks: events told to the owner's own addresses, signed as OpenAI signs them."""
