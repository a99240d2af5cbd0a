"""A file on a test's own server."""

from __future__ import annotations

import random
from pathlib import Path

from openhearth.models.fetching import Artifact
from tests.support.registry import FileServer, sha256

BODY = random.Random(7).randbytes(3 << 20)
PART = "model.gguf.part"


def artifact(server: FileServer | str, *, body: bytes = BODY, **more: object) -> Artifact:
    url = server if isinstance(server, str) else server.url
    known: dict[str, object] = {"sha256": sha256(body), "size": len(body), **more}
    return Artifact("model.gguf", (f"{url}/model.gguf",), **known)  # type: ignore[arg-type]


def leftovers(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"model.gguf", "model.gguf.lock"}
