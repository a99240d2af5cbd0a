"""OpenAI's other paths: each is known as such, so that nobody takes a 404 for a typing error."""

from __future__ import annotations

from pathlib import Path

import openai.resources
import pytest

from openhearth.wire.absent import NOT_YET, WITHDRAWN, absent
from tests.support import specification

PRESENT = {"chat", "completions", "decisions", "embeddings", "models"}


def test_every_resource_of_the_official_client_is_here_or_known_to_be_missing() -> None:
    folder = Path(openai.resources.__file__).parent
    names = {path.stem for path in folder.iterdir() if not path.name.startswith("_")} - {"beta", "admin", "webhooks"}
    assert names - PRESENT <= set(NOT_YET)


@pytest.mark.skipif(not specification.SPECIFICATION, reason="needs OPENHEARTH_OPENAI_SPEC")
def test_every_path_of_the_specification_is_here_or_known_to_be_missing() -> None:
    lines = Path(specification.SPECIFICATION).read_text("utf-8").splitlines()
    paths = [line.strip().rstrip(":").partition("?")[0] for line in lines if line.startswith("  /")]
    assert len(paths) > 100
    assert [path for path in paths if path.split("/")[1] not in PRESENT and absent("/v1" + path) is None] == []


@pytest.mark.parametrize(
    "path", ["/v1/engines/ada/search", "/v1/engines/a/b/answers", "/v1/answers", "/v1/classifications", "/v1/fine-tunes/ft-1"]
)
def test_what_was_withdrawn_says_so_and_what_to_use(path: str) -> None:
    error = absent(path)
    assert error is not None
    assert (error.status, error.code) == (404, "unsupported_endpoint")
    assert "withdrew" in error.message


@pytest.mark.parametrize(
    "path", ["/v1/respones", "/v1/chat/completion", "/responses", "/v1", "/v1/", "/v1/engines/search", "/v2/files", "/v1/filesystem"]
)
def test_a_typing_error_is_none_of_them(path: str) -> None:
    assert absent(path) is None


def test_present_paths_are_not_called_missing() -> None:
    assert not PRESENT & {*NOT_YET, *WITHDRAWN}
