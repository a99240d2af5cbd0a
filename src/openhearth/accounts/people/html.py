"""A page with a form, as plain HTML: no script, nothing from elsewhere, every text escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from openhearth.web.endpoint import Reply

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:26rem;margin:12vh auto;padding:0 1rem;color:#222;background:#fff}"
    "label{display:block;margin:.8rem 0 .2rem}input{width:100%;box-sizing:border-box;padding:.5rem;font:inherit}"
    "button{margin-top:1.2rem;padding:.5rem 1.2rem;font:inherit}.wrong{color:#a00}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS = {
    "content-security-policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    # With no-referrer browsers would send `Origin: null` from our own forms.
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}
HTML = b"text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Field:
    """An input. `kind`: as HTML's type; `fill`: as its autocomplete."""

    name: str
    label: str
    kind: str
    fill: str
    required: bool = True


EMAIL = Field("email", "E-mail address", "email", "username")
PASSWORD = Field("password", "Password", "password", "current-password")
NEW_PASSWORD = Field("password", "New password (at least 10 characters)", "password", "new-password")
NAME = Field("name", "Your name", "text", "name", required=False)


def page(title: str, body: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """`body` is HTML already."""
    text = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)} - Open Hearth</title><style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>{body}</body></html>"
    )
    return Reply(text.encode(), status, {**HEADERS, **(headers or {})}, HTML)


def paragraph(text: str, kind: str = "") -> str:
    return f'<p class="{escape(kind)}">{escape(text)}</p>' if text else ""


def link(path: str, text: str) -> str:
    return f'<p><a href="{escape(path)}">{escape(text)}</a></p>'


def form(path: str, fields: Sequence[Field], button: str, hidden: Mapping[str, str], kept: Mapping[str, str]) -> str:
    """`kept`: what was typed before; passwords are typed again."""
    rows = [f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in hidden.items()]
    for field in fields:
        value = "" if field.kind == "password" else kept.get(field.name, "")
        rows.append(
            f'<label for="{field.name}">{escape(field.label)}</label>'
            f'<input id="{field.name}" name="{field.name}" type="{field.kind}" autocomplete="{field.fill}" value="{escape(value)}"'
            f"{' required' if field.required else ''}>"
        )
    return f'<form method="post" action="{escape(path)}">{"".join(rows)}<button>{escape(button)}</button></form>'
