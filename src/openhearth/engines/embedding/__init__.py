"""Embedding models in a child process: BERT encoders as ONNX or safetensors, without torch."""

from openhearth.engines.embedding.launcher import EmbeddingLauncher

__all__ = ["EmbeddingLauncher"]
