"""Answering: chat, completions, embeddings, edits, decisions; metering. No state but stored completions."""
