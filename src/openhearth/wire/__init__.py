"""OpenAI's wire: request and response schemas, SSE framing, pagination, error envelope, ids. Pure: no I/O."""
