"""Text completions: `POST /v1/completions` and the older paths. The prompt goes to the model as it is, without a chat template.

request (what is asked) -> prompts (tokens, context) -> plain | scored | relay (the engine's work) -> replies (whole or streamed).
"""
