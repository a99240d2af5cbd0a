"""Headers of GGUF files: read rightly, and never trusted."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from openhearth.models.gguf import BrokenGguf, read_header
from tests.support.gguf_file import write_gguf


def test_what_a_file_says_of_itself(tmp_path: Path) -> None:
    header = read_header(write_gguf(tmp_path / "tiny.gguf", template="{% if tools %}<think>{% endif %}"))
    assert (header.architecture, header.context, header.parameters, header.vocabulary) == ("llama", 2048, 192, 3)
    assert header.quantisation == "F32"
    assert header.fills_in
    assert header.uses_tools
    assert header.reasons
    assert header.cache_bytes_per_token == 1 * 1 * (32 + 32) * 2
    assert header.metadata["general.license"] == "apache-2.0"


@pytest.mark.real
def test_it_agrees_with_the_reference_reader() -> None:
    from gguf import GGUFReader

    from tests.support.pulled import smollm2

    header, reference = read_header(smollm2()), GGUFReader(smollm2())
    assert header.parameters == sum(int(tensor.n_elements) for tensor in reference.tensors)
    assert header.template == reference.fields["tokenizer.chat_template"].contents()
    assert header.context == reference.fields["llama.context_length"].contents()
    assert header.vocabulary == len(reference.fields["tokenizer.ggml.tokens"].data)


@pytest.mark.parametrize("kept", [0, 3, 23, 24, 60, 200, 300, -1, -100])
def test_a_file_that_is_cut_off(tmp_path: Path, kept: int) -> None:
    path = write_gguf(tmp_path / "tiny.gguf")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(BrokenGguf, match=r"tiny\.gguf"):
        read_header(path)


def test_other_files(tmp_path: Path) -> None:
    path = tmp_path / "page.gguf"
    path.write_bytes(b"<!doctype html>" * 100)
    with pytest.raises(BrokenGguf, match="no GGUF"):
        read_header(path)
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 99, 0, 0))
    with pytest.raises(BrokenGguf, match="version 99"):
        read_header(path)


def test_numbers_that_would_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gguf"
    huge = 2**62
    for body in (
        struct.pack("<QQ", huge, 0),
        struct.pack("<QQ", 0, huge),
        struct.pack("<QQ", 0, 1) + struct.pack("<Q", huge),
        struct.pack("<QQ", 0, 1) + struct.pack("<Q", 1) + b"k" + struct.pack("<IIQ", 9, 4, huge),
        struct.pack("<QQ", 0, 1) + struct.pack("<Q", 1) + b"k" + struct.pack("<IIQ", 9, 9, 1),
        struct.pack("<QQ", 0, 1) + struct.pack("<Q", 1) + b"k" + struct.pack("<IQ", 8, huge),
        struct.pack("<QQ", 1, 0) + struct.pack("<Q", 1) + b"t" + struct.pack("<I", 2**31),
        struct.pack("<QQ", 1, 0) + struct.pack("<Q", 1) + b"t" + struct.pack("<IQIQ", 1, huge, 0, 0),
    ):
        path.write_bytes(b"GGUF" + struct.pack("<I", 3) + body + bytes(64))
        with pytest.raises(BrokenGguf):
            read_header(path)


def test_random_damage_is_an_error_or_a_header_and_nothing_else(tmp_path: Path) -> None:
    whole = write_gguf(tmp_path / "tiny.gguf").read_bytes()
    damaged, chance = tmp_path / "damaged.gguf", random.Random(7)
    refused = 0
    for _ in range(400):
        content = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            content[chance.randrange(len(content) // 2)] = chance.randrange(256)
        damaged.write_bytes(content)
        try:
            header = read_header(damaged)
            _ = header.context, header.quantisation, header.cache_bytes_per_token, header.uses_tools
        except BrokenGguf:
            refused += 1
    assert refused > 40
