"""A form that was sent: read within bounds, and only from this server's own pages.

Each form carries the value of a cookie of its own; another site knows neither, and the browser says where the form came from besides.
"""

from __future__ import annotations

import hmac
import re
import secrets
from urllib.parse import parse_qsl

from openhearth.accounts.people.cookies import cookie, read_cookie
from openhearth.accounts.people.public_address import PublicAddress
from openhearth.accounts.people.same_origin import require_same_origin
from openhearth.errors import InvalidRequest, PermissionDenied
from openhearth.web.endpoint import Call

COOKIE = "openhearth_form"
FIELD = "form"
LARGEST = 16_384
_TOKEN = re.compile(r"[A-Za-z0-9_-]{32,64}")


def form_token(call: Call, address: PublicAddress, path: str) -> tuple[str, dict[str, str]]:
    """What the form must carry, and the header that sets its cookie: this browser's own, or a new one."""
    known = read_cookie(call, COOKIE)
    token = known if known and _TOKEN.fullmatch(known) else secrets.token_urlsafe(32)
    return token, {"set-cookie": cookie(COOKIE, token, 86400, address, path)}


def read_form(call: Call, address: PublicAddress) -> dict[str, str]:
    """Its fields. Raises InvalidRequest, PermissionDenied."""
    require_same_origin(call.scope, address.url, told=False)
    kind = dict(call.scope["headers"]).get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind != b"application/x-www-form-urlencoded" or len(call.body) > LARGEST:
        raise InvalidRequest("This is not what the form sends.")
    try:
        fields = dict(parse_qsl(call.body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=20))
    except ValueError:
        raise InvalidRequest("The form is not valid percent-encoded UTF-8.") from None
    if any("\0" in value for value in fields.values()):
        raise InvalidRequest("The form contains a NUL character.", code="invalid_text")
    if not hmac.compare_digest(fields.pop(FIELD, "").encode(), (read_cookie(call, COOKIE) or "-").encode()):
        raise PermissionDenied("The form is too old, or wasn't sent from its own page. Open the page again.", code="cross_site_request")
    return fields
