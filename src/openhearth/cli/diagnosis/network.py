"""Whether models can be had from outside: the hub and the package index, as they are configured. Asked only with `--network`."""

from __future__ import annotations

import asyncio
import sys

from openhearth.cli.diagnosis import Finding

TIMEOUT_S = 10.0


async def findings() -> list[Finding]:
    """Both places, asked at the same time."""
    return list(await asyncio.gather(_hub(), _index()))


async def _hub() -> Finding:
    import aiohttp
    from huggingface_hub.constants import ENDPOINT

    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S), trust_env=True) as session,
            session.head(ENDPOINT, allow_redirects=True) as response,
        ):
            status = response.status
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return Finding(
            "hub", "warn", f"{ENDPOINT} can't be reached ({type(error).__name__})", "Models are taken from the package index instead."
        )
    if status >= 500:
        return Finding("hub", "warn", f"{ENDPOINT} answers with status {status}", "Models are taken from the package index instead.")
    return Finding("hub", "ok", f"{ENDPOINT} can be reached")


async def _index() -> Finding:
    # pip itself is asked, so that all of its configuration (mirrors, credentials, proxies) counts.
    command = ("-m", "pip", "index", "versions", "pip", "--disable-pip-version-check", "--no-input", "--retries", "0", "--timeout", "5")
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        code = await asyncio.wait_for(process.wait(), 3 * TIMEOUT_S)
    except TimeoutError:
        process.kill()
        code = await process.wait()
    if code == 0:
        return Finding("package index", "ok", "can be reached")
    return Finding("package index", "warn", "can't be reached, or pip is not installed here", "Check pip's index-url and proxy settings.")
