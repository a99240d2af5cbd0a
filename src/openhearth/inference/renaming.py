"""An upstream server's replies and events under our id, model and fingerprint. Everything else in them stays as it came, unread.

Most events of a stream differ in their choices only: what stands around those is written anew once, and then put around the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from openhearth.errors import EngineFailed
from openhearth.wire.completions import EngineUsage

Fields = dict[str, msgspec.Raw]


class _Choice(msgspec.Struct):
    """Nothing of it is read."""


_FIELDS = msgspec.json.Decoder(Fields)
_CHOICES = msgspec.json.Decoder(list[_Choice])
_SEVERAL_CHOICES = msgspec.json.Decoder(list[list[_Choice]])
_USAGE = msgspec.json.Decoder(EngineUsage | None)
_JSON = msgspec.json.Encoder()
_NONE, _NULL = b"[]", b"null"
_BETWEEN = b"\n\ndata: "
_MARK = b'"choices":[]'
_MOST_FORMS = 4


class Renamer:
    """For one reply. `noun`: what the upstream was asked for, in errors."""

    def __init__(self, head: Mapping[str, str], noun: str) -> None:
        self._head = {name: msgspec.Raw(_JSON.encode(value)) for name, value in head.items()}
        self._noun = noun

    def read(self, payload: bytes) -> Fields:
        """Raises EngineFailed if it has no choices."""
        try:
            fields = _FIELDS.decode(payload)
            _CHOICES.decode(fields["choices"])
        except (msgspec.DecodeError, KeyError):
            raise EngineFailed(f"The upstream server's answer is not a {self._noun}.") from None
        return fields

    def written(self, fields: Fields) -> bytes:
        """As JSON, under our names."""
        return _JSON.encode({**fields, **self._head})

    def checked(self, write: bytes) -> bytes:
        """What is passed on unread must be text at least. Raises EngineFailed."""
        try:
            write.decode()
        except UnicodeDecodeError:
            raise EngineFailed(f"The upstream server's answer is not a {self._noun}: it is no UTF-8.") from None
        return write


def usage(fields: Fields) -> EngineUsage | None:
    """What the upstream counted, where it tells. Raises EngineFailed for what isn't OpenAI's."""
    try:
        told: EngineUsage | None = _USAGE.decode(fields.get("usage", msgspec.Raw(_NULL)))
    except msgspec.DecodeError:
        raise EngineFailed("The upstream server's usage is not what OpenAI's wire has.") from None
    return told


class EventRenamer:
    """For one stream's events. `with_usage`: whether the client asked for it."""

    def __init__(self, renamer: Renamer, *, with_usage: bool) -> None:
        self._renamer = renamer
        self._with_usage = with_usage
        self._theirs = self._ours = (b"", b"")
        self._forms = 0

    def feed(self, payloads: list[bytes], read: Callable[[Fields], None]) -> bytes:
        """One write for these events. `read` is shown those that had to be taken apart, so every one with usage. Raises EngineFailed."""
        if len(payloads) > 1 and (write := self._passed(payloads)):
            return self._renamer.checked(write)
        return self._renamer.checked(b"".join(self._passed([payload]) or self._taken_apart(payload, read) for payload in payloads))

    def _passed(self, payloads: list[bytes]) -> bytes | None:
        """The events in our words, if all differ from one that was written in their choices only."""
        (before, after), (ours_before, ours_after) = self._theirs, self._ours
        text = _BETWEEN.join(payloads)
        if not self._forms or not text.startswith(before) or not text.endswith(after):
            return None
        choices = text[len(before) : len(text) - len(after)].split(after + _BETWEEN + before)
        try:
            read = _SEVERAL_CHOICES.decode(b"[%b]" % b",".join(choices))
        except msgspec.DecodeError:
            return None
        if len(read) != len(payloads) or len(choices) != len(payloads) or [] in read:
            return None
        return ours_before + (ours_after + ours_before).join(choices) + ours_after

    def _taken_apart(self, payload: bytes, read: Callable[[Fields], None]) -> bytes:
        fields = self._renamer.read(payload)
        read(fields)
        return self._written(payload, fields)

    def _written(self, payload: bytes, fields: Fields) -> bytes:
        """The event in our words; empty if it only tells the usage, for which the client didn't ask."""
        choices, told = bytes(fields["choices"]), fields.pop("usage", msgspec.Raw(_NULL))
        if self._with_usage:
            fields["usage"] = told
        elif not _CHOICES.decode(choices):
            return b""
        if bytes(told) == _NULL and self._forms < _MOST_FORMS:
            self._learn(payload, choices, fields)
        return b"data: %b\n\n" % self._renamer.written(fields)

    def _learn(self, payload: bytes, choices: bytes, fields: Fields) -> None:
        before, _, after = payload.partition(choices)
        ours_before, mark, ours_after = self._renamer.written({**fields, "choices": msgspec.Raw(_NONE)}).partition(_MARK)
        try:
            empty = bytes(_FIELDS.decode(before + _NONE + after).get("choices", b""))
        except msgspec.DecodeError:
            return
        if mark and empty == _NONE and _MARK not in ours_after:
            self._forms += 1
            self._theirs = (before, after)
            self._ours = (b"data: " + ours_before + _MARK[:-2], ours_after + b"\n\n")
