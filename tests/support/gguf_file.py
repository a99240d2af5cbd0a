"""Small GGUF files, made by the field's own writer: right in form, with weights of nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write_gguf(path: Path, *, template: str | None = "{{ messages }}", tokens: tuple[str, ...] = ("a", "b", "<|fim_prefix|>")) -> Path:
    """A llama of one layer with two heads."""
    from gguf import GGUFWriter

    writer = GGUFWriter(path, "llama")
    writer.add_name("Tiny")
    writer.add_license("apache-2.0")
    writer.add_context_length(2048)
    writer.add_embedding_length(64)
    writer.add_block_count(1)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_file_type(0)
    writer.add_token_list(list(tokens))
    if template:
        writer.add_chat_template(template)
    writer.add_tensor("token_embd.weight", np.zeros((len(tokens), 64), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
