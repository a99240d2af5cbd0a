"""What the fake engine answers to a request, as tokens: the text is decided first, then cut by limits and stop sequences."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from openhearth.engines.fake.directives import Directives, read
from openhearth.engines.fake.instances import instance
from openhearth.engines.fake.language import Token, Tokens, alternatives, babble, logprob, number_of

FORCED = 50.0


@dataclass
class Answer:
    """A decided answer. `finish_reason`: stop, length or tool_calls."""

    tokens: list[Token]
    finish_reason: str
    prompt_tokens: int
    directives: Directives


def render(messages: list[dict[str, Any]]) -> str:
    """The messages in ChatML, as SmolLM2's template has them."""
    parts = [f"<|im_start|>{m.get('role')}\n{_text(m)}<|im_end|>\n" for m in messages]
    return "".join(parts) + "<|im_start|>assistant\n"


def _text(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, list):
        content = "".join(part.get("text", "") for part in content)
    calls = message.get("tool_calls")
    return str(content) + (json.dumps(calls) if calls else "")


def decide(tokens: Tokens, prompt: str, steering: str, body: dict[str, Any], choice: int = 0) -> Answer:
    """The answer to a prompt. `steering`: where directives are looked for."""
    directives = read(steering)
    text = _wanted(directives, prompt, body, choice)
    limit = body.get("max_tokens") or body.get("max_completion_tokens") or body.get("n_predict")
    text, stopped = _until_stop(text, body.get("stop"))
    pieces = tokens.split(text)
    # llama.cpp answers one token where none was asked for.
    limit = max(1, limit) if isinstance(limit, int) and limit >= 0 else None
    cut = limit is not None and limit < len(pieces)
    bias = {int(k): float(v) for k, v in _pairs(body.get("logit_bias"))}
    chosen = _tokens(tokens, prompt, pieces[:limit], bias, int(body.get("n_probs") or _top(body)))
    reason = "length" if cut and not stopped else "tool_calls" if directives.calls else "stop"
    return Answer(chosen, reason, len(tokens.encode(prompt)), directives)


def _top(body: dict[str, Any]) -> int:
    wanted = body.get("logprobs")
    if isinstance(wanted, bool):
        return max(1, int(body.get("top_logprobs") or 0)) if wanted else 0
    return int(wanted or 0)


def _pairs(bias: Any) -> list[tuple[Any, Any]]:
    return list(bias.items()) if isinstance(bias, dict) else [tuple(pair) for pair in bias or ()]


def _wanted(directives: Directives, prompt: str, body: dict[str, Any], choice: int) -> str:
    if directives.echo_request:
        return json.dumps(body)
    if directives.say is not None:
        return _continued(directives.say, prompt)
    if directives.calls:
        return ""
    schema = _schema(body)
    if schema is not None:
        return json.dumps(instance(schema))
    seed = body.get("seed")
    seed = seed if isinstance(seed, int) else 0
    temperature = body.get("temperature")
    seed = 0 if temperature == 0 else seed + choice
    count = directives.tokens if directives.tokens is not None else 8 + number_of(prompt, seed) % 9
    return babble(prompt, seed, count)


def _continued(text: str, prompt: str) -> str:
    """The rest of `text` where the prompt goes on with its beginning: an answer made in several runs."""
    said = prompt.rpartition("]]")[2]
    return text[len(said) :] if said and text.startswith(said) else text


def _schema(body: dict[str, Any]) -> Any:
    wanted = body.get("response_format") or {}
    if wanted.get("type") == "json_schema":
        return wanted.get("json_schema", {}).get("schema", wanted.get("schema", {}))
    if wanted.get("type") == "json_object":
        return wanted.get("schema", {"type": "object"})
    return body.get("json_schema")


def _until_stop(text: str, stop: Any) -> tuple[str, bool]:
    stops = [stop] if isinstance(stop, str) else stop or []
    found = [at for one in stops if one and (at := text.find(one)) >= 0]
    return (text[: min(found)], True) if found else (text, False)


def _tokens(tokens: Tokens, prompt: str, pieces: list[str], bias: dict[int, float], top: int) -> list[Token]:
    forced = [number for number, value in bias.items() if value >= FORCED]
    banned = {number for number, value in bias.items() if value <= -FORCED}
    if not top and not bias:
        return [Token(0, piece, 0.0) for piece in pieces]
    out, before = [], prompt
    for number, piece in enumerate(pieces):
        chosen = tokens.decode([forced[number % len(forced)]]) if forced else piece
        options = alternatives(tokens, before, chosen)
        if tokens.id_of(chosen) in banned:
            chosen = next(text for n, text, _ in options if n not in banned)
        out.append(Token(tokens.id_of(chosen), chosen, logprob(before, chosen), options))
        before += chosen
    return out
