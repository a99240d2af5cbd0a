"""Which tools the model may or must use, in whatever of OpenAI's words that was said. Reads no model's text."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from openhearth.errors import InvalidRequest, UnsupportedParameter
from openhearth.inference.chat.formats import check_schema
from openhearth.wire import json_schema
from openhearth.wire.chat import (
    AllowedToolsChoice,
    ChatRequest,
    CustomTool,
    Function,
    FunctionTool,
    GrammarFormat,
    Named,
    NamedCustom,
    NamedFunction,
)

NO_PARAMETERS: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
TEXT_INPUT: dict[str, Any] = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
    "additionalProperties": False,
}
"""A custom tool as the model sees it: a function of one text."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A function, or a custom tool that is shown to the model as one."""

    name: str
    description: str | None
    parameters: dict[str, Any]
    grammar: dict[str, Any]
    """The parameters as the engine takes them."""
    strict: bool = False
    custom: bool = False

    def described(self) -> dict[str, Any]:
        """As the model is told of it."""
        function: dict[str, Any] = {"name": self.name, "parameters": self.grammar}
        if self.description:
            function["description"] = self.description
        return {"type": "function", "function": function}


@dataclass(frozen=True, slots=True)
class ToolUse:
    """Tools and how they are to be used. With `required`, only the tools that were named are left."""

    tools: dict[str, Tool]
    mode: Literal["none", "auto", "required"]
    parallel: bool = True
    legacy: bool = False
    """Asked for by `functions`, and so answered by `function_call`."""

    def only(self, name: str) -> ToolUse:
        """The same with one tool, which must be used."""
        return replace(self, tools={name: self.tools[name]}, mode="required", parallel=False)

    def schema(self) -> dict[str, Any]:
        """What a call that must be made looks like: the arguments of the only tool, or a name with its arguments."""
        if len(self.tools) == 1:
            return next(iter(self.tools.values())).grammar
        calls, definitions = [], {}
        for number, tool in enumerate(self.tools.values()):
            place = f"tool{number}"
            definitions[place] = json_schema.moved(tool.grammar, f"#/$defs/{place}")
            calls.append(
                {
                    "type": "object",
                    "properties": {"name": {"const": tool.name}, "arguments": {"$ref": f"#/$defs/{place}"}},
                    "required": ["name", "arguments"],
                    "additionalProperties": False,
                }
            )
        return {"anyOf": calls, "$defs": definitions}


def tool_use(request: ChatRequest) -> ToolUse | None:
    """None where there are no tools. Raises InvalidRequest."""
    if request.functions is not None or request.function_call is not None:
        return _legacy(request)
    if not request.tools:
        for name in ("tool_choice", "parallel_tool_calls"):
            if getattr(request, name) not in (None, "none", "auto"):
                raise InvalidRequest(f"'{name}' is only allowed when 'tools' are given.", param=name)
        return None
    tools = _unique([_tool(tool, f"tools[{number}]") for number, tool in enumerate(request.tools)], "tools")
    parallel = request.parallel_tool_calls is not False
    choice = request.tool_choice or "auto"
    if isinstance(choice, str):
        return ToolUse(tools, choice, parallel)
    if isinstance(choice, AllowedToolsChoice):
        names = [_named(tool, tools) for tool in choice.allowed_tools.tools]
        return ToolUse({name: tools[name] for name in names}, choice.allowed_tools.mode, parallel)
    name = _named(choice, tools)
    return ToolUse({name: tools[name]}, "required", parallel=False)


def _legacy(request: ChatRequest) -> ToolUse:
    if request.tools or request.tool_choice is not None:
        raise InvalidRequest("Give either 'tools' or the older 'functions', not both.", param="functions")
    if request.functions is None:
        raise InvalidRequest("'function_call' is only allowed when 'functions' are given.", param="function_call")
    tools = _unique([_function(function, f"functions[{number}]") for number, function in enumerate(request.functions)], "functions")
    choice = request.function_call or "auto"
    if not isinstance(choice, Named):
        return ToolUse(tools, choice, parallel=False, legacy=True)
    if choice.name not in tools:
        raise InvalidRequest(f"'function_call' names '{choice.name}', which is not among 'functions'.", param="function_call")
    return ToolUse({choice.name: tools[choice.name]}, "required", parallel=False, legacy=True)


def _tool(tool: FunctionTool | CustomTool, param: str) -> Tool:
    if isinstance(tool, FunctionTool):
        return _function(tool.function, f"{param}.function")
    if isinstance(tool.custom.format, GrammarFormat):
        raise UnsupportedParameter(
            "A custom tool's grammar is not taken: a hostile one could stop the engine. Use a function with a JSON schema.",
            param=f"{param}.custom.format",
        )
    return Tool(tool.custom.name, tool.custom.description, TEXT_INPUT, TEXT_INPUT, custom=True)


def _function(function: Function, param: str) -> Tool:
    parameters = function.parameters or NO_PARAMETERS
    check_schema(parameters, f"{param}.parameters", strict=bool(function.strict))
    kind = parameters.get("type", "object")
    if kind != "object":
        raise InvalidRequest(f"The parameters of a function must be an object, not {kind!r:.40}.", param=f"{param}.parameters")
    grammar = json_schema.for_engine({"type": "object", **parameters})
    return Tool(function.name, function.description, parameters, grammar, bool(function.strict))


def _unique(tools: list[Tool], param: str) -> dict[str, Tool]:
    by_name = {tool.name: tool for tool in tools}
    if len(by_name) < len(tools):
        raise InvalidRequest(f"Two of the '{param}' have the same name.", param=param)
    # One grammar may have to hold them all.
    if len(by_name) > 1:
        json_schema.check(ToolUse(by_name, "required").schema(), param)
    return by_name


def _named(choice: NamedFunction | NamedCustom, tools: dict[str, Tool]) -> str:
    name = choice.function.name if isinstance(choice, NamedFunction) else choice.custom.name
    if name not in tools or tools[name].custom != isinstance(choice, NamedCustom):
        raise InvalidRequest(f"'tool_choice' names '{name}', which is not among 'tools'.", param="tool_choice")
    return name
