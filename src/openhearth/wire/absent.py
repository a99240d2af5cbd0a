"""What OpenAI has, or once had, and this version doesn't: paths, and what to tell who asks for them. Pure; the router raises it."""

from __future__ import annotations

import re

from openhearth.errors import UnsupportedEndpoint

NOT_YET = {
    "agents": "The agents API",
    "audio": "The audio API (speech, transcriptions, translations)",
    "batches": "The batch API",
    "chatkit": "ChatKit",
    "containers": "The containers API",
    "content_provenance_checks": "The content provenance API",
    "conversations": "The conversations API",
    "evals": "The evals API",
    "files": "The files API",
    "fine_tuning": "The fine-tuning API",
    "images": "The images API",
    "live": "The live API",
    "moderations": "The moderations API",
    "organization": "This part of the administration API",
    "projects": "The administration API",
    "realtime": "The realtime API",
    "responses": "The responses API",
    "safety": "The safety API",
    "skills": "The skills API",
    "uploads": "The uploads API",
    "vaults": "The vaults API",
    "vector_stores": "The vector stores API",
    "videos": "The videos API",
    "webhook_endpoints": "The webhooks API",
}
"""The first part of the path after `/v1/` -> its name."""
INSTEAD = {"responses": "Use /v1/chat/completions.", "moderations": "Use /v1/decisions with predicates of your own."}
WITHDRAWN = {
    "answers": ("in 2022", "Use /v1/embeddings to find the documents, and a chat model to answer from them."),
    "assistants": ("in 2026", "Use /v1/chat/completions."),
    "classifications": ("in 2022", "Use /v1/decisions."),
    "fine-tunes": ("in 2024", "Its successor, the fine-tuning API, is not there yet in this version of Open Hearth."),
    "search": ("in 2022", "Use /v1/embeddings, and compare the vectors."),
    "threads": ("in 2026", "Use /v1/chat/completions."),
}
_PATH = re.compile(r"/v1/(?:engines/.+/(answers|classifications|search)|([^/]+)(?:/.*)?)")


def absent(path: str) -> UnsupportedEndpoint | None:
    """The 404 for one of OpenAI's own paths; None for any other."""
    found = _PATH.fullmatch(path)
    part = found and (found[1] or found[2])
    if part in WITHDRAWN:
        when, instead = WITHDRAWN[part]
        return UnsupportedEndpoint(f"OpenAI withdrew the {part} API {when}, and Open Hearth doesn't have it. {instead}")
    if part in NOT_YET:
        instead = INSTEAD.get(part, "The README says what is.")
        return UnsupportedEndpoint(f"{NOT_YET[part]} (/v1/{part}) is not there yet in this version of Open Hearth. {instead}")
    return None
