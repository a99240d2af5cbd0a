"""Embeddings: inputs in every shape (`inputs`), from request to reply (`service`), vectors in every form (`vectors`), HTTP (`routes`)."""
