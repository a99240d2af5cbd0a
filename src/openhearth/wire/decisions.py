"""`POST /v1/decisions`: one input, 1-400 questions about it, an answer with probabilities to each.

Shapes only. What a model is asked, and how its answer is computed, is decided elsewhere. `calibration` is ours; the rest is OpenAI's.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from openhearth.errors import InvalidRequest
from openhearth.wire.decoding import convert

MAX_QUESTIONS = 400
MAX_CHOICES = 255
MAX_LEVELS = 10
MAX_ITEMS = 2048
MAX_PARTS = 1024
MAX_CALIBRATION_INPUTS = 64
MAX_JSON_BYTES = 256 * 2**10
MAX_JSON_VALUES = 10_000
MAX_JSON_DEPTH = 32

Text = Annotated[str, Meta(max_length=2**20)]
"""Any text of an input; a model's context ends long before."""
Instruction = Annotated[str, Meta(min_length=1, max_length=2**16)]
Label = Annotated[str, Meta(min_length=1, max_length=1024)]
Description = Annotated[str, Meta(max_length=2**13)]
Name = Annotated[str, Meta(max_length=512)]
JSONObject = dict[str, Any]


class CacheBreakpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Accepted and not needed: every prefix is cached here."""

    mode: Literal["explicit"]


class InputText(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="input_text"):
    text: Text
    prompt_cache_breakpoint: CacheBreakpoint | None = None


class InputImage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="input_image"):
    """Understood, so that the refusal can say why: the models here can't see."""

    image_url: str
    detail: Literal["low", "high", "auto", "original"] | None = None
    prompt_cache_breakpoint: CacheBreakpoint | None = None


class InputJSON(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="input_json"):
    """An object, or a list of objects; shown to the model as compact JSON."""

    data: JSONObject | list[JSONObject]


class OutputText(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="output_text"):
    text: Text


class OutputRefusal(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="refusal"):
    refusal: Text


UserPart = InputText | InputImage | InputJSON
ToolPart = InputText | InputImage
Status = Literal["in_progress", "completed", "incomplete"]


class UserMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    role: Literal["user"]
    content: Text | Annotated[list[UserPart], Meta(max_length=MAX_PARTS)]
    type: Literal["message"] = "message"


class InstructingMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A developer's or system's message inside the evidence. It instructs nobody here."""

    role: Literal["developer", "system"]
    content: Text | Annotated[list[InputText], Meta(max_length=MAX_PARTS)]
    type: Literal["message"] = "message"


class AssistantMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    role: Literal["assistant"]
    content: Text | Annotated[list[OutputText | OutputRefusal], Meta(max_length=MAX_PARTS)]
    phase: Literal["commentary", "final_answer"] | None = None
    type: Literal["message"] = "message"


class FunctionCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    type: Literal["function_call"]
    call_id: Name
    name: Name
    arguments: Text
    id: Name | None = None
    namespace: Name | None = None
    status: Status | None = None


class CustomToolCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    type: Literal["custom_tool_call"]
    call_id: Name
    name: Name
    input: Text
    id: Name | None = None
    namespace: Name | None = None
    status: Status | None = None


class ToolOutput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    type: Literal["function_call_output", "custom_tool_call_output"]
    call_id: Name
    output: Text | Annotated[list[ToolPart], Meta(max_length=MAX_PARTS)]
    id: Name | None = None
    status: Status | None = None


Message = UserMessage | InstructingMessage | AssistantMessage
Item = Message | FunctionCall | CustomToolCall | ToolOutput

_BY_TYPE: dict[str, type[Any]] = {
    "function_call": FunctionCall,
    "custom_tool_call": CustomToolCall,
    "function_call_output": ToolOutput,
    "custom_tool_call_output": ToolOutput,
}
_BY_ROLE: dict[str, type[Any]] = {
    "user": UserMessage,
    "developer": InstructingMessage,
    "system": InstructingMessage,
    "assistant": AssistantMessage,
}


class QuestionText(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="input_text"):
    text: Instruction


class QuestionImage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="input_image"):
    image_url: str
    detail: Literal["low", "high", "auto", "original"] | None = None


QuestionPart = QuestionText | QuestionImage | InputJSON
Instructions = Instruction | Annotated[list[QuestionPart], Meta(min_length=1, max_length=MAX_PARTS)]


class PredicateQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="type", tag="predicate"):
    """How likely is it that this statement about the input is true?"""

    instructions: Instructions
    name: Name | None = None


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    value: Label | bool
    """A text and a boolean that reads the same are two values."""
    description: Description | None = None


class ChoiceQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="type", tag="choice"):
    """Which of these?"""

    instructions: Instructions
    choices: Annotated[list[Choice], Meta(min_length=2, max_length=MAX_CHOICES)]
    name: Name | None = None


class Level(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    label: Label
    description: Description | None = None


class ScoreQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="type", tag="score"):
    """How far up this scale? The first level is 0."""

    instructions: Instructions
    levels: Annotated[list[Level], Meta(min_length=2, max_length=MAX_LEVELS)]
    name: Name | None = None


Question = PredicateQuestion | ChoiceQuestion | ScoreQuestion


class CacheOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Accepted: caching is always on here, and costs nothing."""

    mode: Literal["implicit", "explicit"] | None = None
    ttl: Literal["30m"] | None = None


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Not OpenAI's: what a model's leaning towards one answer is measured with, and taken out.

    `content_free` (the default) measures it with inputs that say nothing; `inputs` with texts of the kind that will be judged, whose
    answers nobody need know; `none` leaves it in.
    """

    method: Literal["none", "content_free", "inputs"] | None = None
    inputs: (
        Annotated[list[Annotated[str, Meta(min_length=1, max_length=2**16)]], Meta(min_length=1, max_length=MAX_CALIBRATION_INPUTS)] | None
    ) = None


class DecisionRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a client may send. None means the same as absent."""

    model: Annotated[str, Meta(min_length=1, max_length=512)]
    input: Text | Annotated[list[JSONObject], Meta(min_length=1, max_length=MAX_ITEMS)]
    questions: Annotated[list[Question], Meta(min_length=1, max_length=MAX_QUESTIONS)]
    prompt_cache_key: Name | None = None
    prompt_cache_options: CacheOptions | None = None
    safety_identifier: Name | None = None
    calibration: Calibration | None = None


class PredicateAnswer(msgspec.Struct, frozen=True, tag_field="type", tag="predicate", kw_only=True):
    name: str | None = None
    probability: float


class ChoiceProbability(msgspec.Struct, frozen=True):
    value: str | bool
    probability: float


class ChoiceAnswer(msgspec.Struct, frozen=True, tag_field="type", tag="choice", kw_only=True):
    """`probabilities` in the order of the question's choices; `confidence`: how far above chance the likeliest one stands, 0 to 1."""

    name: str | None = None
    choice: str | bool
    confidence: float
    probabilities: list[ChoiceProbability]


class ScoreProbability(msgspec.Struct, frozen=True):
    value: int
    label: str
    probability: float


class ScoreAnswer(msgspec.Struct, frozen=True, tag_field="type", tag="score", kw_only=True):
    """`score`: the expected level, the first being 0."""

    name: str | None = None
    score: float
    confidence: float
    probabilities: list[ScoreProbability]


class RefusalAnswer(msgspec.Struct, frozen=True, tag_field="type", tag="refusal", kw_only=True):
    """The model declined to answer this question."""

    name: str | None = None


Answer = PredicateAnswer | ChoiceAnswer | ScoreAnswer | RefusalAnswer


class InputTokensDetails(msgspec.Struct, frozen=True):
    cached_tokens: int = 0
    cache_write_tokens: int = 0


class OutputTokensDetails(msgspec.Struct, frozen=True):
    reasoning_tokens: int = 0


class DecisionUsage(msgspec.Struct, frozen=True):
    """Tokens read; nothing is written."""

    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    output_tokens_details: OutputTokensDetails
    total_tokens: int


class Decision(msgspec.Struct, frozen=True):
    """Answers in the order of the questions."""

    model: str
    answers: list[Answer]
    usage: DecisionUsage


def read_items(given: list[JSONObject]) -> list[Item]:
    """The members of an `input` list. Raises InvalidRequest naming the field (`input[3].content`)."""
    return [_item(item, f"input[{number}]") for number, item in enumerate(given)]


def _item(item: JSONObject, path: str) -> Item:
    kind = item.get("type", "message")
    schema = _BY_ROLE.get(str(item.get("role"))) if kind == "message" else _BY_TYPE.get(str(kind))
    if schema is None:
        field, allowed = ("role", _BY_ROLE) if kind == "message" else ("type", {"message": None, **_BY_TYPE})
        raise InvalidRequest(f"'{path}.{field}' must be one of: {', '.join(allowed)}.", param=f"{path}.{field}", code="invalid_value")
    try:
        found: Item = convert(item, schema)
    except InvalidRequest as error:
        raise InvalidRequest(f"{path}: {error.message}", param=f"{path}.{error.param}" if error.param else path, code=error.code) from None
    return found


def compact_json(part: InputJSON, path: str) -> str:
    """The part as text. Raises InvalidRequest past OpenAI's bounds."""
    depth, values = _measure(part.data)
    encoded = msgspec.json.encode(part.data)
    for size, limit, what in (
        (depth, MAX_JSON_DEPTH, "levels deep"),
        (values, MAX_JSON_VALUES, "values"),
        (len(encoded), MAX_JSON_BYTES, "bytes"),
    ):
        if size > limit:
            raise InvalidRequest(f"'{path}' is JSON of {size} {what}; {limit} are allowed.", param=path, code="invalid_value")
    return encoded.decode()


def _measure(data: Any) -> tuple[int, int]:
    """Levels of containers, and number of values."""
    depth, values, row = 0, 0, [data]
    while row:
        values += len(row)
        containers = [value for value in row if isinstance(value, dict | list)]
        depth += bool(containers)
        row = [inner for c in containers for inner in (c.values() if isinstance(c, dict) else c)]
    return depth, values
