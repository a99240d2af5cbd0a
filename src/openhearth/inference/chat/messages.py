"""Messages as a chat template takes them: plain dicts of role and text, whatever the template knows of tools and system messages.

A template that knows no tools is given them as text, and gets calls and results as text; `calls` reads such calls back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from openhearth.errors import InvalidRequest, UnsupportedParameter
from openhearth.inference.chat.tools import ToolUse
from openhearth.wire.chat import (
    AssistantMessage,
    AudioPart,
    Content,
    DeveloperMessage,
    FilePart,
    FunctionMessage,
    FunctionToolCall,
    ImagePart,
    Message,
    SystemMessage,
    TextPart,
    ToolMessage,
    UserMessage,
)
from openhearth.wire.decoding import decode

CALL, CALL_END = "<tool_call>", "</tool_call>"
_UNSEEN = {ImagePart: "images", AudioPart: "audio", FilePart: "files"}

Plain = dict[str, Any]


def conversation(messages: list[Message], tools: ToolUse | None, template: Mapping[str, bool]) -> list[Plain]:
    """Checked and put into the template's terms. Raises InvalidRequest naming the message."""
    check_order(messages)
    native = template.get("supports_tools", False)
    plain = [_plain(message, f"messages[{number}]", native=native) for number, message in enumerate(messages)]
    if tools is not None and (tools.mode == "required" or (tools.mode == "auto" and not native)):
        plain = with_system(plain, instructions(tools))
    return plain if template.get("supports_system_role", True) else _without_system(plain)


def check_order(messages: list[Message]) -> None:
    """Every tool result must answer a call before it, and every call must have been answered when the conversation goes on."""
    open_calls: list[str] = []
    for number, message in enumerate(messages):
        where = f"messages[{number}]"
        if isinstance(message, ToolMessage):
            if message.tool_call_id not in open_calls:
                raise InvalidRequest(
                    f"'{where}' of role 'tool' must answer one of the 'tool_calls' of the assistant's message before it.", param=where
                )
            open_calls.remove(message.tool_call_id)
            continue
        if open_calls:
            raise InvalidRequest(
                f"An assistant message with 'tool_calls' must be followed by a tool message for each: {', '.join(open_calls)[:200]} "
                "not answered.",
                param=where,
            )
        if isinstance(message, AssistantMessage):
            open_calls = [call.id for call in message.tool_calls or ()]


def instructions(tools: ToolUse) -> str:
    """What a model whose template knows no tools is told of them."""
    listed = "\n".join(json.dumps(tool.described()["function"], ensure_ascii=False) for tool in tools.tools.values())
    if tools.mode == "required":
        if len(tools.tools) == 1:
            name = next(iter(tools.tools))
            return f"Call this tool, given as JSON:\n{listed}\nReply with the JSON of the arguments for {name} and nothing else."
        return f'Call one of these tools, given as JSON:\n{listed}\nReply with {{"name": ..., "arguments": ...}} and nothing else.'
    several = " To use several, write one such line for each." if tools.parallel else ""
    return (
        f"You have these tools, given as JSON:\n{listed}\n"
        f'When one of them helps, reply with nothing but {CALL}{{"name": "the tool", "arguments": {{...}}}}{CALL_END}.{several} '
        "Otherwise answer in plain words."
    )


def _plain(message: Message, where: str, *, native: bool) -> Plain:
    match message:
        case DeveloperMessage() | SystemMessage():
            return {"role": "system", "content": text(message.content, where)}
        case UserMessage():
            said = text(message.content, where)
            return {"role": "user", "content": f"{message.name}: {said}" if message.name else said}
        case AssistantMessage():
            return _assistant(message, where, native=native)
        case ToolMessage():
            result = text(message.content, where)
            if native:
                return {"role": "tool", "tool_call_id": message.tool_call_id, "content": result}
            return {"role": "user", "content": f"<tool_response>\n{result}\n</tool_response>"}
        case FunctionMessage():
            result = message.content or ""
            if native:
                return {"role": "tool", "tool_call_id": message.name, "name": message.name, "content": result}
            return {"role": "user", "content": f"<tool_response>\n{result}\n</tool_response>"}


def _assistant(message: AssistantMessage, where: str, *, native: bool) -> Plain:
    if message.audio is not None:
        raise UnsupportedParameter("This model hears no audio; send the text of the message.", param=f"{where}.audio")
    said = text(message.content or "", where) or (message.refusal or "")
    calls = [(call.id, *_called(call)) for call in message.tool_calls or ()]
    if message.function_call is not None:
        calls.append((message.function_call.name, message.function_call.name, message.function_call.arguments))
    if not calls:
        if message.content is None and message.refusal is None:
            raise InvalidRequest(f"'{where}' has neither 'content' nor 'tool_calls'.", param=f"{where}.content")
        return {"role": "assistant", "content": said}
    for _, name, arguments in calls:
        _check_arguments(name, arguments, where)
    if native:
        told = [{"id": i, "type": "function", "function": {"name": name, "arguments": arguments}} for i, name, arguments in calls]
        return {"role": "assistant", "content": said, "tool_calls": told}
    lines = [f'{CALL}{{"name": {json.dumps(name)}, "arguments": {arguments}}}{CALL_END}' for _, name, arguments in calls]
    return {"role": "assistant", "content": "\n".join(filter(None, [said, *lines]))}


def _check_arguments(name: str, arguments: str, where: str) -> None:
    """A template takes them apart, so they must be what they say they are."""
    try:
        decode(arguments.encode() or b"{}", dict)
    except InvalidRequest:
        raise InvalidRequest(f"The arguments of the call to '{name[:64]}' in '{where}' are no JSON object.", param=where) from None


def _called(call: Any) -> tuple[str, str]:
    if isinstance(call, FunctionToolCall):
        return call.function.name, call.function.arguments
    return call.custom.name, json.dumps({"input": call.custom.input})


def text(content: Content, where: str) -> str:
    """The text of a message's parts. Raises UnsupportedParameter for what is no text."""
    if isinstance(content, str):
        return content
    return "".join(_part(part, f"{where}.content[{number}]") for number, part in enumerate(content))


def _part(part: Any, where: str) -> str:
    if isinstance(part, TextPart):
        return part.text
    unseen = _UNSEEN.get(type(part))
    if unseen:
        raise UnsupportedParameter(f"The models here take text only, no {unseen}.", param=where)
    return str(part.refusal)


def with_system(plain: list[Plain], addition: str) -> list[Plain]:
    """The conversation with more in its system message."""
    if plain[0]["role"] == "system":
        return [{"role": "system", "content": f"{plain[0]['content']}\n\n{addition}"}, *plain[1:]]
    return [{"role": "system", "content": addition}, *plain]


def _without_system(plain: Iterable[Plain]) -> list[Plain]:
    """System messages put in front of the next user message, for templates that refuse them."""
    out: list[Plain] = []
    held: list[str] = []
    for message in plain:
        if message["role"] == "system":
            held.append(message["content"])
        elif message["role"] == "user" and held:
            out.append({"role": "user", "content": "\n\n".join([*held, message["content"]])})
            held = []
        else:
            out.append(message)
    return [*out, {"role": "user", "content": "\n\n".join(held)}] if held else out
