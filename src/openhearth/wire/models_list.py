"""`/v1/models` and the older `/v1/engines`: what a client is told of a model. OpenAI's fields only; `/openhearth/models` has more."""

from __future__ import annotations

from typing import Literal

import msgspec


class ModelObject(msgspec.Struct, frozen=True):
    """A model. `created`: Unix seconds."""

    id: str
    created: int
    owned_by: str
    object: Literal["model"] = "model"


class ModelList(msgspec.Struct, frozen=True):
    data: list[ModelObject]
    object: Literal["list"] = "list"


class HouseModel(msgspec.Struct, frozen=True):
    """More of a model than OpenAI's object has room for."""

    id: str
    owned_by: str
    task: str
    """`chat`, `completion` or `embedding`."""
    capabilities: list[str]
    context: int | None
    """Tokens that it was trained on, where that is known."""


class HouseModelList(msgspec.Struct, frozen=True):
    data: list[HouseModel]
    object: Literal["list"] = "list"


class ModelDeleted(msgspec.Struct, frozen=True):
    id: str
    deleted: bool = True
    object: Literal["model"] = "model"


class EngineObject(msgspec.Struct, frozen=True):
    """A model as the engines API of 2020-2023 told it."""

    id: str
    owner: str
    ready: bool
    created: int | None = None
    permissions: None = None
    object: Literal["engine"] = "engine"


class EngineObjectList(msgspec.Struct, frozen=True):
    data: list[EngineObject]
    object: Literal["list"] = "list"
