"""Events of an upstream under our names: whichever way they take, all but id, model and fingerprint stays."""

from __future__ import annotations

import json
from typing import Any

import pytest

from openhearth.errors import EngineFailed
from openhearth.inference.renaming import EventRenamer, Renamer, usage

HEAD = {"id": "chatcmpl-ours", "model": "far/m", "system_fingerprint": "fp_ours"}
ENVELOPE = {"id": "theirs", "object": "chat.completion.chunk", "created": 7, "model": "m", "service_tier": "flex"}


def event(*choices: Any, **more: Any) -> dict[str, Any]:
    return {**ENVELOPE, "choices": list(choices), **more}


def said(text: str) -> dict[str, Any]:
    return {"index": 0, "delta": {"content": text}, "finish_reason": None}


def renamed(
    events: list[dict[str, Any]], *, with_usage: bool, separators: tuple[str, str] | None = None, burst: int = 1
) -> tuple[list[Any], int]:
    """What the client reads, and how many events were taken apart for it."""
    stream = EventRenamer(Renamer(HEAD, "chat completion"), with_usage=with_usage)
    payloads = [json.dumps(one, separators=separators).encode() for one in events]
    apart: list[Any] = []
    text = b"".join(stream.feed(payloads[at : at + burst], apart.append) for at in range(0, len(payloads), burst))
    *written, end = text.split(b"\n\n")
    assert end == b""
    assert all(one.startswith(b"data: ") for one in written)
    return [json.loads(one[6:]) for one in written], len(apart)


@pytest.mark.parametrize("burst", [1, 2, 3, 99])
@pytest.mark.parametrize("separators", [None, (",", ":")])
@pytest.mark.parametrize("with_usage", [True, False])
@pytest.mark.parametrize("null", [True, False])
def test_a_stream(separators: tuple[str, str] | None, with_usage: bool, null: bool, burst: int) -> None:
    more = {"usage": None} if null else {}
    texts = ["a", "\n\ndata: ", '"}}],"choices":[', "a", "b", '"choices":[]', '}],"created":7', "\\", "ü\n", ""]
    events = [event(said(text), **more) for text in texts] + [event({"index": 0, "delta": {}, "finish_reason": "stop"}, **more)]
    events.append(event(usage={"prompt_tokens": 1, "completion_tokens": 6, "total_tokens": 7}))
    read, apart = renamed(events, with_usage=with_usage, separators=separators, burst=burst)
    expected = [{**one, **HEAD, "usage": one.get("usage")} for one in events]
    if not with_usage:
        expected = [{name: value for name, value in one.items() if name != "usage"} for one in expected[:-1]]
    assert read == expected
    assert apart == 2


@pytest.mark.parametrize("burst", [1, 3, 5])
def test_what_differs_outside_of_the_choices_stays(burst: int) -> None:
    events = [event(said("a"), obfuscation=str(number)) for number in range(9)]
    events += [event(said("b")), event(said("c"), timings={"choices": [1]}), event(said("d"), timings={"choices": [2]}), event(said("e"))]
    read, _ = renamed(events, with_usage=False, burst=burst)
    assert read == [{**one, **HEAD} for one in events]


def test_choices_elsewhere_are_not_taken_for_the_choices() -> None:
    events: list[dict[str, Any]] = [{"x": {"choices": [said(text)]}, "choices": [said(text)], "y": [said(text)]} for text in "abab"]
    read, _ = renamed(events, with_usage=False)
    assert read == [{**one, **HEAD} for one in events]


def test_an_end_that_looks_like_the_usual_one() -> None:
    events = [event(said("a")), event(said("b"), logs=[{"a": 1}]), event(said("c"), usage={"prompt_tokens": 1}, logs=[])]
    read, _ = renamed(events, with_usage=False)
    assert read == [{**one, **HEAD} for one in [event(said("a")), event(said("b"), logs=[{"a": 1}]), event(said("c"), logs=[])]]


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b'{"choices":1}', b'{"choices":[1]}', b'{"choices":[{}]', b'{"choices":null}'])
def test_what_is_no_completion(payload: bytes) -> None:
    with pytest.raises(EngineFailed, match="not a chat completion"):
        Renamer(HEAD, "chat completion").read(payload)


def test_what_is_no_text_or_no_usage() -> None:
    renamer = Renamer(HEAD, "chat completion")
    with pytest.raises(EngineFailed, match="UTF-8"):
        renamer.checked(b"\xff")
    with pytest.raises(EngineFailed, match="usage"):
        usage(renamer.read(b'{"choices":[],"usage":{"prompt_tokens":"many"}}'))
    assert usage(renamer.read(b'{"choices":[],"usage":null}')) is usage(renamer.read(b'{"choices":[]}')) is None
