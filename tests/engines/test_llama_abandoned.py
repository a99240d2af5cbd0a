"""The real engine when clients leave while it still reads their prompt."""

from __future__ import annotations

import time

import httpx
import pytest

from tests.support.serving import RunningServer

WORDS = "the river runs under an old bridge and light falls on slow water where small boats wait "


@pytest.mark.real
def test_a_prompt_that_nobody_waits_for_is_given_up(real_server: RunningServer) -> None:
    """Not at its end: what others wait for then is a part of it."""
    with httpx.Client(base_url=real_server.base_url, headers={"authorization": f"Bearer {real_server.key}"}, timeout=120) as http:

        def ask(prompt: str, timeout: float = 120) -> float:
            began = time.perf_counter()
            http.post("/completions", json={"model": "smollm2:135m", "prompt": prompt, "max_tokens": 1}, timeout=timeout)
            return time.perf_counter() - began

        ask("warm")
        whole = ask("One. " + WORDS * 100)
        with pytest.raises(httpx.ReadTimeout):
            ask("Two. " + WORDS * 100, timeout=whole / 8)
        assert ask("Three.") < whole / 2
