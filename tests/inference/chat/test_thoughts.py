"""Thoughts told from answers, whatever pieces they come in."""

from __future__ import annotations

import pytest

from openhearth.inference.chat.thoughts import Thoughts


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize(
    ("text", "begun", "expected"),
    [
        ("<think>Let me see. < 3 </thin</think>\n\nFour.", False, ("Let me see. < 3 </thin", "Four.")),
        ("Let me see.</think>Four.", True, ("Let me see.", "Four.")),
        ("Four. <think>no thought</think>", False, ("", "Four. <think>no thought</think>")),
        ("<thin air", False, ("", "<thin air")),
        ("<think>cut off", False, ("cut off", "")),
        ("", False, ("", "")),
    ],
)
def test_split(text: str, begun: bool, size: int, expected: tuple[str, str]) -> None:
    splitter = Thoughts(begun=begun)
    pieces = [splitter.feed(text[at : at + size]) for at in range(0, len(text), size)] + [splitter.end()]
    thought, answer = ("".join(part) for part in zip(*pieces, strict=True))
    assert (thought, answer.lstrip()) == expected
