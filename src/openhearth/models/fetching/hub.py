"""The hub, through huggingface_hub: what a repository holds, and where a file's bytes are. Chooses nothing and downloads nothing.

Endpoint, token and token file are huggingface_hub's own settings (`HF_ENDPOINT`, `HF_TOKEN`, `HF_HOME`).
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from openhearth.errors import DownloadFailed
from openhearth.models.fetching.credentials import Credentials
from openhearth.models.fetching.download import Span
from openhearth.models.fetching.patience import Interrupted, NobodyThere
from openhearth.models.fetching.reasons import untrusted, why
from openhearth.models.fetching.sources import HubFile, permitted, shown
from openhearth.models.fetching.web import PASSING

if TYPE_CHECKING:
    from huggingface_hub import HfApi

TIMEOUT_S = 10.0
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_UNMET = ("ConnectError", "ConnectTimeout")
T = TypeVar("T")


@dataclass(frozen=True)
class Listed:
    """A file of a repository. `sha256` is known for large files only."""

    path: str
    size: int | None
    sha256: str | None


@dataclass(frozen=True)
class Listing:
    """A repository at one commit."""

    repository: str
    commit: str | None
    files: tuple[Listed, ...]


@dataclass(frozen=True)
class Located:
    """Where a file's bytes are, at a commit that won't change, and what the hub says of them."""

    span: Span
    sha256: str | None


async def listing(repository: str, revision: str | None) -> Listing:
    """The files of a repository. Raises DownloadFailed if it isn't there, is gated, or the hub can't be reached."""

    def ask(api: HfApi) -> Listing:
        model = api.model_info(repository, revision=revision, files_metadata=True, timeout=TIMEOUT_S)
        files = [Listed(each.rfilename, each.size, each.lfs.sha256 if each.lfs else None) for each in model.siblings or ()]
        return Listing(repository, model.sha, tuple(files))

    return await _asked(ask, f"hf://{repository}")


async def locate(wanted: HubFile) -> Located:
    """Where the file is now. The token goes to the hub itself only."""

    def ask(api: HfApi) -> Located:
        from huggingface_hub import hf_hub_url

        def url(revision: str | None) -> str:
            return hf_hub_url(wanted.repository, wanted.path, revision=revision, endpoint=api.endpoint)

        metadata = api.get_hf_file_metadata(url=url(wanted.revision), timeout=TIMEOUT_S)
        # Pinned, so that attempts on a branch that moves meanwhile don't mix two versions.
        commit = metadata.commit_hash if metadata.commit_hash and _COMMIT.fullmatch(metadata.commit_hash) else wanted.revision
        sha256 = metadata.etag if metadata.etag and _SHA256.fullmatch(metadata.etag) else None
        token = _token()
        pinned = url(commit)
        credentials = Credentials.bearer(pinned, token) if token else None
        return Located(Span(pinned, credentials, size=metadata.size, vouched=sha256 is not None), sha256)

    return await _asked(ask, f"hf://{wanted.repository}/{wanted.path}")


def _token() -> str | None:
    from huggingface_hub import get_token

    return get_token()


async def _asked(ask: Callable[[HfApi], T], what: str) -> T:
    """Ask in a thread (the library is synchronous), with its errors in our words."""
    # Read when the library is loaded. Otherwise it tells the hub what else is installed here.
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    from huggingface_hub import HfApi, errors

    http_error: type[Exception] = errors.HTTPError  # type: ignore[attr-defined]  # httpx's or httpx2's, as its version has it
    api = HfApi(library_name="openhearth")
    if not permitted(api.endpoint):
        raise DownloadFailed(f"The hub's endpoint {shown(api.endpoint)} is not https.")
    try:
        return await asyncio.to_thread(ask, api)
    except errors.GatedRepoError:
        raise DownloadFailed(f"{what} is gated: accept its terms on the hub, then set HF_TOKEN to a token of that account.") from None
    except errors.RepositoryNotFoundError:
        raise DownloadFailed(f"{what} does not exist on the hub, or is private: then set HF_TOKEN.") from None
    except errors.RevisionNotFoundError:
        raise DownloadFailed(f"{what} has no such revision.") from None
    except errors.EntryNotFoundError:
        raise DownloadFailed(f"{what} does not exist on the hub.") from None
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        kind = Interrupted if status in PASSING else DownloadFailed
        raise kind(f"The hub answered {status} for {what}.") from None
    except (http_error, OSError) as error:
        kind = DownloadFailed if untrusted(error) else NobodyThere if type(error).__name__ in _UNMET else Interrupted
        raise kind(f"The hub {shown(api.endpoint)} can't be reached for {what}: {why(error)}.") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:  # what the library makes of answers that no hub gives
        raise DownloadFailed(f"The hub's answer for {what} is not understood ({type(error).__name__}).") from None
