"""`POST /v1/chat/completions`: what a client may send. Replies stand in `chat_replies`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from openhearth.wire.completions import MAX_LOGIT_BIAS, MAX_STOPS, StreamOptions

MAX_TOOLS = 128
MAX_TOP_LOGPROBS = 20
MAX_N = 128

FunctionName = Annotated[str, Meta(pattern="^[a-zA-Z0-9_.-]{1,64}$")]
ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
ServiceTier = Literal["auto", "default", "flex", "scale", "priority", "fast"]
Metadata = Annotated[dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]], Meta(max_length=16)]


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of a request: an unknown field is an error."""


class TextPart(_Strict, frozen=True, tag_field="type", tag="text"):
    text: str
    prompt_cache_breakpoint: Any = None


class RefusalPart(_Strict, frozen=True, tag_field="type", tag="refusal"):
    refusal: str


class ImagePart(_Strict, frozen=True, tag_field="type", tag="image_url"):
    image_url: Any
    prompt_cache_breakpoint: Any = None


class AudioPart(_Strict, frozen=True, tag_field="type", tag="input_audio"):
    input_audio: Any
    prompt_cache_breakpoint: Any = None


class FilePart(_Strict, frozen=True, tag_field="type", tag="file"):
    file: Any
    prompt_cache_breakpoint: Any = None


Part = TextPart | RefusalPart | ImagePart | AudioPart | FilePart
Content = str | list[Part]


class FunctionCall(_Strict, frozen=True):
    """`arguments` is JSON as the model wrote it."""

    name: str
    arguments: str


class CustomCall(_Strict, frozen=True):
    name: str
    input: str


class FunctionToolCall(_Strict, frozen=True, tag_field="type", tag="function"):
    id: str
    function: FunctionCall
    index: int | None = None
    """Clients send back what they streamed."""


class CustomToolCall(_Strict, frozen=True, tag_field="type", tag="custom"):
    id: str
    custom: CustomCall
    index: int | None = None


class DeveloperMessage(_Strict, frozen=True, tag_field="role", tag="developer"):
    content: Content
    name: str | None = None


class SystemMessage(_Strict, frozen=True, tag_field="role", tag="system"):
    content: Content
    name: str | None = None


class UserMessage(_Strict, frozen=True, tag_field="role", tag="user"):
    content: Content
    name: str | None = None


class AssistantMessage(_Strict, frozen=True, tag_field="role", tag="assistant"):
    """Takes back everything that a reply's message has, so that clients can append it as it is."""

    content: Content | None = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: list[FunctionToolCall | CustomToolCall] | None = None
    function_call: FunctionCall | None = None
    audio: Any = None
    annotations: list[Any] | None = None
    reasoning_content: str | None = None


class ToolMessage(_Strict, frozen=True, tag_field="role", tag="tool"):
    content: Content
    tool_call_id: str
    name: str | None = None


class FunctionMessage(_Strict, frozen=True, tag_field="role", tag="function"):
    name: str
    content: str | None = None


Message = DeveloperMessage | SystemMessage | UserMessage | AssistantMessage | ToolMessage | FunctionMessage


class Function(_Strict, frozen=True):
    """A function that the model may call. `parameters` is a JSON schema; left out, it takes none."""

    name: FunctionName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class TextFormat(_Strict, frozen=True, tag_field="type", tag="text"):
    """Free text as a custom tool's input."""


class GrammarFormat(_Strict, frozen=True, tag_field="type", tag="grammar"):
    grammar: Any


class Custom(_Strict, frozen=True):
    """A tool that takes any text."""

    name: FunctionName
    description: str | None = None
    format: TextFormat | GrammarFormat | None = None


class FunctionTool(_Strict, frozen=True, tag_field="type", tag="function"):
    function: Function


class CustomTool(_Strict, frozen=True, tag_field="type", tag="custom"):
    custom: Custom


class Named(_Strict, frozen=True):
    name: str


class NamedFunction(_Strict, frozen=True, tag_field="type", tag="function"):
    function: Named


class NamedCustom(_Strict, frozen=True, tag_field="type", tag="custom"):
    custom: Named


class AllowedTools(_Strict, frozen=True):
    mode: Literal["auto", "required"]
    tools: Annotated[list[NamedFunction | NamedCustom], Meta(min_length=1, max_length=MAX_TOOLS)]


class AllowedToolsChoice(_Strict, frozen=True, tag_field="type", tag="allowed_tools"):
    allowed_tools: AllowedTools


class TextResponse(_Strict, frozen=True, tag_field="type", tag="text"):
    """Prose."""


class JsonObjectResponse(_Strict, frozen=True, tag_field="type", tag="json_object"):
    """Any JSON object."""


class JsonSchema(_Strict, frozen=True):
    """What the reply must conform to; `schema` left out means any JSON."""

    name: FunctionName
    description: str | None = None
    schema_: dict[str, Any] | None = msgspec.field(default=None, name="schema")
    strict: bool | None = None


class JsonSchemaResponse(_Strict, frozen=True, tag_field="type", tag="json_schema"):
    json_schema: JsonSchema


class Prediction(_Strict, frozen=True, tag_field="type", tag="content"):
    """Text that the reply is expected to repeat."""

    content: str | list[TextPart]


class ChatRequest(_Strict, frozen=True):
    """What a client may send. None means the same as absent."""

    messages: Annotated[list[Message], Meta(min_length=1)]
    model: Annotated[str, Meta(max_length=512)] | None = None
    audio: Any = None
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    function_call: Literal["none", "auto"] | Named | None = None
    functions: Annotated[list[Function], Meta(min_length=1, max_length=MAX_TOOLS)] | None = None
    logit_bias: Annotated[dict[str, Annotated[float, Meta(ge=-100, le=100)]], Meta(max_length=MAX_LOGIT_BIAS)] | None = None
    logprobs: bool | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None
    max_tokens: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None
    metadata: Metadata | None = None
    modalities: list[Literal["text", "audio"]] | None = None
    moderation: Any = None
    n: Annotated[int, Meta(ge=1, le=MAX_N)] | None = None
    parallel_tool_calls: bool | None = None
    prediction: Prediction | None = None
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    prompt_cache_key: Annotated[str, Meta(max_length=512)] | None = None
    prompt_cache_options: Any = None
    prompt_cache_retention: Literal["in_memory", "in-memory", "24h"] | None = None
    reasoning_effort: ReasoningEffort | None = None
    response_format: TextResponse | JsonObjectResponse | JsonSchemaResponse | None = None
    safety_identifier: Annotated[str, Meta(max_length=512)] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    service_tier: ServiceTier | None = None
    stop: str | Annotated[list[Annotated[str, Meta(min_length=1, max_length=1024)]], Meta(max_length=MAX_STOPS)] | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedFunction | NamedCustom | AllowedToolsChoice | None = None
    tools: Annotated[list[FunctionTool | CustomTool], Meta(max_length=MAX_TOOLS)] | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=MAX_TOP_LOGPROBS)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    user: Annotated[str, Meta(max_length=512)] | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    web_search_options: Any = None
