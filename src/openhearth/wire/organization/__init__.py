"""Shapes of OpenAI's administration API."""
