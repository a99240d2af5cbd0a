"""A certified OpenID provider (npm's oidc-provider), started on loopback, and a browser that logs in there."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin

import aiohttp
from filelock import FileLock

HERE = Path(__file__).parent / "oidc"
SECRET = "a-secret-of-the-client-1234567890"


def installed() -> Path:
    """The provider's program beside its packages, which are installed once."""
    cache = Path(os.environ.get("OPENHEARTH_TEST_CACHE") or Path.home() / ".cache" / "openhearth-tests") / "oidc"
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{cache}.lock"):
        wanted = (HERE / "package.json").read_text()
        if not (cache / "complete").exists() or (cache / "complete").read_text() != wanted:
            shutil.copy(HERE / "package.json", cache)
            subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"], cwd=cache, check=True, capture_output=True)
            (cache / "complete").write_text(wanted)
        shutil.copy(HERE / "provider.mjs", cache)
    return cache / "provider.mjs"


@contextmanager
def provider(redirect_uri: str) -> Iterator[str]:
    """Its issuer."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        issuer = f"http://127.0.0.1:{probe.getsockname()[1]}"
    process = subprocess.Popen(["node", str(installed()), issuer, redirect_uri], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"ready\n"
        yield issuer
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


async def log_in_there(url: str, login: str, redirect_uri: str) -> str:
    """Go through the provider's pages, as a person would: the address that it sends the browser back to."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        method, data = "GET", None
        for _ in range(12):
            async with session.request(method, url, data=data, allow_redirects=False) as reply:
                method, data = "GET", None
                if location := reply.headers.get("Location"):
                    url = urljoin(url, location)
                    if url.startswith(redirect_uri):
                        return url
                    continue
                page = await reply.text()
            assert reply.status == 200, page[:2000]
            action = re.search(r'<form[^>]* action="([^"]*)"', page)
            prompt = re.search(r'name="prompt" value="(\w+)"', page)
            assert action, page[:2000]
            assert prompt, page[:2000]
            url = urljoin(url, action.group(1))
            method, data = "POST", {"prompt": prompt.group(1), "login": login, "password": "any"}
    raise AssertionError("the provider never sent the browser back")
