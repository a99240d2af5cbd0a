"""The ASGI plumbing: endpoints with their schemas, bodies in, replies and streams out, the middleware."""
