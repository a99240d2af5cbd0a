"""Stored chat completions: queries, updates, and the messages of one."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from openhearth.wire.chat import Metadata
from openhearth.wire.chat_replies import ChatCompletion
from openhearth.wire.pagination import PageQuery


class StoredCompletionsQuery(PageQuery, frozen=True, forbid_unknown_fields=True):
    """`?metadata[key]=value&model=NAME` beside the page."""

    metadata: Metadata | None = None
    model: Annotated[str, Meta(max_length=512)] | None = None


class StoredCompletionUpdate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole new metadata; null takes all away."""

    metadata: Metadata | None


class StoredMessage(msgspec.Struct, frozen=True):
    """A message of the request. `content_parts` where it was given in parts, `content` where it was a text."""

    id: str
    role: str
    content: str | None
    name: str | None = None
    content_parts: list[dict[str, Any]] | None = None
    refusal: str | None = None
    tool_calls: list[dict[str, Any]] | UnsetType = UNSET
    tool_call_id: str | UnsetType = UNSET


class StoredCompletionList(msgspec.Struct, frozen=True):
    data: list[ChatCompletion]
    first_id: str | None
    last_id: str | None
    has_more: bool
    object: Literal["list"] = "list"


class StoredMessageList(msgspec.Struct, frozen=True):
    data: list[StoredMessage]
    first_id: str | None
    last_id: str | None
    has_more: bool
    object: Literal["list"] = "list"


class StoredCompletionDeleted(msgspec.Struct, frozen=True):
    id: str
    deleted: bool = True
    object: Literal["chat.completion.deleted"] = "chat.completion.deleted"
