"""Queries of lists whose order can't be chosen."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from openhearth.wire.organization.fields import Identifier


class CursorQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`?after=ID&limit=N`, oldest first."""

    after: Identifier | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 20
