"""A request's `input` as one text: itself, or a transcript of messages and calls. Evidence to judge, never a conversation to join.

Which token each character becomes is `prompts`' business: nothing here can become a control token.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from openhearth.errors import InvalidRequest, UnsupportedParameter
from openhearth.wire.decisions import (
    CustomToolCall,
    FunctionCall,
    InputImage,
    InputJSON,
    Instructions,
    Item,
    OutputRefusal,
    QuestionImage,
    ToolOutput,
    UserMessage,
    compact_json,
    read_items,
)

_BETWEEN = "\n\n"


def written(given: str | list[dict[str, Any]]) -> str:
    """The input as text. Raises InvalidRequest: an image, an output without its call, nothing at all."""
    text = given if isinstance(given, str) else _transcript(read_items(given))
    if not text.strip():
        raise InvalidRequest("'input' holds no text to answer questions about.", param="input", code="invalid_value")
    return text


def instructions(given: Instructions, path: str) -> str:
    """A question's instructions as text."""
    text = given if isinstance(given, str) else _joined(given, path)
    if not text.strip():
        raise InvalidRequest(f"'{path}' is empty.", param=path, code="invalid_value")
    return text


def _transcript(items: list[Item]) -> str:
    if len(items) == 1 and isinstance(items[0], UserMessage):
        return _content(items[0].content, "input[0].content")
    names: dict[tuple[str, str], str] = {}
    return _BETWEEN.join(_line(item, f"input[{number}]", names) for number, item in enumerate(items))


def _line(item: Item, path: str, names: dict[tuple[str, str], str]) -> str:
    if isinstance(item, FunctionCall | CustomToolCall):
        name = f"{item.namespace}.{item.name}" if item.namespace else item.name
        names[item.type, item.call_id] = name
        return f"assistant calls {name}: {item.arguments if isinstance(item, FunctionCall) else item.input}"
    if isinstance(item, ToolOutput):
        called = names.get((item.type.removesuffix("_output"), item.call_id))
        if called is None:
            raise InvalidRequest(f"'{path}.call_id' is of no call before it.", param=f"{path}.call_id", code="invalid_value")
        return f"{called} returns: {_content(item.output, f'{path}.output')}"
    return f"{item.role}: {_content(item.content, f'{path}.content')}"


def _content(content: str | Iterable[Any], path: str) -> str:
    return content if isinstance(content, str) else _joined(content, path)


def _joined(parts: Iterable[Any], path: str) -> str:
    return "\n".join(_part(part, f"{path}[{number}]") for number, part in enumerate(parts))


def _part(part: Any, path: str) -> str:
    if isinstance(part, InputImage | QuestionImage):
        raise UnsupportedParameter(f"'{path}' is an image, which the models for decisions here can't see. Send its text.", param=path)
    if isinstance(part, InputJSON):
        return compact_json(part, path)
    if isinstance(part, OutputRefusal):
        return part.refusal
    return str(part.text)
