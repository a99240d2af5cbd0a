"""Events of a stream, however the network cuts them."""

from __future__ import annotations

import random

import pytest

from openhearth.engines.client import EventReader
from openhearth.errors import EngineFailed, InvalidRequest

PLAIN = [b'{"choices":[{"delta":{"content":"%d"}}]}' % number for number in range(5)]
DRESSES = [
    (b"data: %b\n\n", [0, 1, 2, 3, 4]),
    (b"data: %b\r\n\r\n", [0, 1, 2, 3, 4]),
    (b"data:%b\n\n", [0, 1, 2, 3, 4]),
    (b": hello\n\ndata: %b\n\n", [0, 1, 2, 3, 4]),
    (b"data: %b\n\ndata: \n\n", [0, 1, 2, 3, 4]),
    (b"event: x\ndata: %b\nid: 7\n\n", [0, 1, 2, 3, 4]),
    (b"data: %b\n\ndata: [DONE]\n\n", [0]),
]


@pytest.mark.parametrize(("dress", "expected"), DRESSES)
@pytest.mark.parametrize("seed", range(12))
def test_events_in_pieces(dress: bytes, expected: list[int], seed: int) -> None:
    text = b"".join(dress % payload for payload in PLAIN)
    rng = random.Random(seed)
    cuts = sorted(rng.sample(range(1, len(text)), min(seed * 5, len(text) - 1)))
    reader, read = EventReader(), []
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        read += reader.feed(text[start:end])
        if reader.done:
            break
    assert read == [PLAIN[number] for number in expected]
    assert reader.done is (b"[DONE]" in dress)


@pytest.mark.parametrize("said", [b'{"a":"[DONE]"}', b'{"a":"\\"error\\""}', b'{"a":"data: x\\n\\n"}', b'{"object":"x","error":null}'])
def test_words_that_look_like_marks(said: bytes) -> None:
    events = b"".join(b"data: %b\n\n" % payload for payload in (PLAIN[0], said, PLAIN[1]))
    reader = EventReader()
    assert reader.feed(events + b"data: [DONE]\n\n") == [PLAIN[0], said, PLAIN[1]]
    assert reader.done


@pytest.mark.parametrize(("event", "kind"), [(b'{"error":{"message":"No.","code":400}}', InvalidRequest), (b'{"error":"x"}', EngineFailed)])
def test_an_error_among_others(event: bytes, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        EventReader().feed(b"data: %b\n\ndata: %b\n\n" % (PLAIN[0], event))


def test_the_end() -> None:
    broken, native = EventReader(), EventReader()
    broken.feed(b"data: %b\n\n" % PLAIN[0])
    with pytest.raises(EngineFailed, match="broke off"):
        broken.end()
    native.feed(b'data: %b\n\ndata: {"content":"","stop":true}\n\n' % PLAIN[0])
    native.end()
    with pytest.raises(EngineFailed, match="without end"):
        EventReader(largest=10).feed(b"data: {}\n\ndata: " + b"x" * 20)
