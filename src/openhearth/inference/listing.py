"""Which models there are: `/v1/models` and the older `/v1/engines`.

Lists real models by their own names. An alias is not listed, but asking for one tells the model that it means.
"""

from __future__ import annotations

from openhearth.accounts.models_gate import allowed_models, refusal
from openhearth.accounts.principal import Principal
from openhearth.errors import InvalidRequest
from openhearth.inference.contract import Inference
from openhearth.models.resolve import ResolvedModel
from openhearth.web.endpoint import Call, Endpoint, Reply, json_reply
from openhearth.wire.models_list import EngineObject, EngineObjectList, HouseModel, HouseModelList, ModelDeleted, ModelList, ModelObject

TAG = "Models"
READ, WRITE = "api.model.read", "api.model.write"


async def list_models(house: Inference, principal: Principal) -> ModelList:
    """All that the project may ask here."""
    return ModelList([_model(model) for model in await _allowed(house, principal)])


async def one_model(house: Inference, principal: Principal, name: str) -> ResolvedModel:
    """By name or alias. Raises ModelNotFound, PermissionDenied."""
    model = await house.models.resolve(name)
    if not allowed_models(principal, house.models.meaning)(model.id):
        raise refusal(principal, model.id)
    return model


async def delete_model(house: Inference, principal: Principal, name: str) -> ModelDeleted:
    """Stop the model's engine and delete its files. Raises InvalidRequest for an alias: what it means must be named."""
    model = await one_model(house, principal, name)
    if model.id != name:
        raise InvalidRequest(f"'{name}' is another name of '{model.id}'. Delete that if you mean it.", param="model")
    house.models.check_removable(model.id)
    await house.pool.unload(model.id)
    return ModelDeleted(await house.models.remove(model.id))


async def list_engines(house: Inference, principal: Principal) -> EngineObjectList:
    """The same models in the older words."""
    return EngineObjectList([_engine(house, model) for model in await _allowed(house, principal)])


async def _allowed(house: Inference, principal: Principal) -> list[ResolvedModel]:
    allowed = allowed_models(principal, house.models.meaning)
    return [model for model in await house.models.list() if allowed(model.id)]


async def list_house_models(house: Inference) -> HouseModelList:
    """The same models with what they can do."""
    return HouseModelList(
        [HouseModel(each.id, each.owned_by, each.task, sorted(each.capabilities), each.context) for each in await house.models.list()]
    )


def _model(model: ResolvedModel) -> ModelObject:
    return ModelObject(model.id, model.created, model.owned_by)


def _engine(house: Inference, model: ResolvedModel) -> EngineObject:
    """Ready means that a request will be answered; a model that is not loaded is loaded by the first one."""
    failed = any(status.id == model.id and status.state == "failed" for status in house.pool.status())
    return EngineObject(model.id, model.owned_by, not failed)


def endpoints(house: Inference) -> list[Endpoint]:
    """This module's rows of the route table. Ids may contain slashes, so keep them behind all other paths."""

    async def models(call: Call) -> Reply:
        return json_reply(await list_models(house, call.principal))

    async def model(call: Call) -> Reply:
        return json_reply(_model(await one_model(house, call.principal, call.path("model"))))

    async def delete(call: Call) -> Reply:
        return json_reply(await delete_model(house, call.principal, call.path("model")))

    async def engines(call: Call) -> Reply:
        return json_reply(await list_engines(house, call.principal))

    async def engine(call: Call) -> Reply:
        return json_reply(_engine(house, await one_model(house, call.principal, call.path("engine"))))

    async def house_models(_call: Call) -> Reply:
        return json_reply(await list_house_models(house))

    return [
        Endpoint(
            "GET", "/openhearth/models", house_models, "The models and what they can do.", response=HouseModelList, tag=TAG, permission=READ
        ),
        Endpoint("GET", "/v1/models", models, "List the models.", response=ModelList, tag=TAG, permission=READ),
        Endpoint(
            "GET",
            "/v1/engines",
            engines,
            "List the models, in older words.",
            response=EngineObjectList,
            tag=TAG,
            permission=READ,
            deprecated=True,
        ),
        Endpoint(
            "GET", "/v1/models/{model:path}", model, "One model, by its name or an alias.", response=ModelObject, tag=TAG, permission=READ
        ),
        Endpoint("DELETE", "/v1/models/{model:path}", delete, "Delete a model's files.", response=ModelDeleted, tag=TAG, permission=WRITE),
        Endpoint(
            "GET",
            "/v1/engines/{engine:path}",
            engine,
            "One model, in older words.",
            response=EngineObject,
            tag=TAG,
            permission=READ,
            deprecated=True,
        ),
    ]
