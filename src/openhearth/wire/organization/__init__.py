"""OpenAI's administration API: its requests and replies."""
