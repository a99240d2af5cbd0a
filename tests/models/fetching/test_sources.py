"""URIs and names: what is understood, and all that is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from openhearth.errors import InvalidRequest
from openhearth.models.fetching import Artifact
from openhearth.models.fetching.artifact import check_name
from openhearth.models.fetching.sources import HubFile, LocalFile, PackageMember, WebFile, parse, repository, shown


@pytest.mark.parametrize(
    ("uri", "source"),
    [
        ("hf://owner/name/model.gguf", HubFile("owner/name", "model.gguf", None)),
        ("hf://owner/na.me-1/sub/model%20one.gguf@refs/pr/1", HubFile("owner/na.me-1", "sub/model one.gguf", "refs/pr/1")),
        ("hf://owner/name/at%40home.gguf@main", HubFile("owner/name", "at@home.gguf", "main")),
        ("pypi://some-models==1.2.3/package/model.gguf", PackageMember("some-models", "1.2.3", "package/model.gguf")),
        ("https://example.org/a/model.gguf?download=true", WebFile("https://example.org/a/model.gguf?download=true")),
        ("https://example.org/a/model.gguf#part", WebFile("https://example.org/a/model.gguf")),
        ("http://localhost:8/model.gguf", WebFile("http://localhost:8/model.gguf")),
        ("http://[::1]:8/model.gguf", WebFile("http://[::1]:8/model.gguf")),
        ("file:///models/a%20b.gguf", LocalFile(Path("/models/a b.gguf"))),
    ],
)
def test_understood(uri: str, source: object) -> None:
    assert parse(uri) == source


@pytest.mark.parametrize(
    "uri",
    [
        "", "model", "ftp://host/file", "javascript:alert(1)", "data://text", "hf:/owner/name/file",
        "hf://owner", "hf://owner/name", "hf://owner/name/", "hf://../name/file", "hf://owner/../file", "hf://owner/name/../../etc/passwd",
        "hf://owner/name/%2e%2e/file", "hf://owner/name//file", "hf://owner/name/file@", "hf://owner/name/file@../main", "hf://owner/name/file@a?b",
        "hf://own%2fer/name/file", "hf://owner/name/a%00b", "hf://owner/na..me/file",
        "pypi://name/file", "pypi://name==/file", "pypi://name==1.0", "pypi://name==1.0/", "pypi://name==one!/file", "pypi://na me==1/file",
        "pypi://../x==1/file", "pypi://-x==1/file",
        "http://example.org/file", "http://10.0.0.1/file", "http://127.0.0.1.example.org/file", "http://localhost.example.org/file",
        "https://user:secret@example.org/file", "https:///file", "https://exa mple.org/", "https://[bad/file", "https://host:port/file",
        "https://example.org/a\nb", "file://host/share", "file://relative", "file:///a%00b",
    ],
)  # fmt: skip
def test_not_understood(uri: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse(uri)
    assert "secret" not in refused.value.message


@pytest.mark.parametrize("name", ["model.gguf", "1_Pooling/config.json", "a/b/c.bin", "..a", "a..b", "ü.gguf", "a b.gguf", ".hidden"])
def test_plain_names(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "", "/", "/etc/passwd", "..", ".", "../a", "a/../b", "a/..", "a/.", "./a", "a//b", "a/", "\\a", "a\\b", "..\\a", "c:a", "C:/a",
        "a\x00b", "a\nb", "\x7f", "a\x1b[0m", "con", "NUL.txt", "a/aux", "a.", "a ", "a/. /b", "...", "x" * 513,
    ],
)  # fmt: skip
def test_names_that_are_not_plain(name: str) -> None:
    with pytest.raises(InvalidRequest, match="not a plain relative file name"):
        Artifact(name, ("https://example.org/a",))


@pytest.mark.parametrize(
    "wrong",
    [{"name": "model.gguf.part"}, {"name": "a/model.gguf.lock"}, {"parts": ()}, {"sha256": "abc"}, {"sha256": "A" * 64}, {"size": -1}],
)
def test_artifacts_that_can_not_be(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        Artifact(**{"name": "a", "parts": ("https://example.org/a",), **wrong})  # type: ignore[arg-type]


def test_repositories() -> None:
    assert repository("owner/name@main") == ("owner/name", "main")
    assert repository("owner/name") == ("owner/name", None)
    for wrong in ("owner", "owner/", "/name", "owner/name/more", "owner/name@", "o..r/name", "owner/name?x"):
        with pytest.raises(InvalidRequest):
            repository(wrong)


def test_what_is_shown_of_a_url_holds_no_secret() -> None:
    assert shown("https://user:pass@example.org/a?token=secret#x") == "https://example.org/a"
    assert shown("https://example.org/a@b") == "https://example.org/a@b"
