"""`/v1/organization/usage/...` and `/v1/organization/costs`."""

from __future__ import annotations

from typing import TypeVar, get_origin, get_type_hints
from urllib.parse import parse_qsl, urlencode

from openhearth.usage.reports.operations import REPORTS, Report
from openhearth.usage.reports.service import Reports
from openhearth.web.endpoint import Call, Endpoint, Handler, Reply, json_reply, parse_query
from openhearth.wire.decoding import convert
from openhearth.wire.organization.usage import UsagePage
from openhearth.wire.organization.usage_queries import CostsQuery, TimeQuery

TAG = "Usage"
READ = "api.usage.read"
Query = TypeVar("Query", bound=TimeQuery)


def endpoints(reports: Reports) -> list[Endpoint]:
    """This module's rows of the route table."""

    def handler(report: Report) -> Handler:
        async def usage(call: Call) -> Reply:
            return json_reply(await reports.usage(report, asked(call, report.query)))

        return usage

    async def costs(call: Call) -> Reply:
        return json_reply(await reports.costs(asked(call, CostsQuery)))

    rows = [
        Endpoint(
            "GET", f"/v1/organization/usage/{report.operation}", handler(report), f"Usage of {report.operation.replace('_', ' ')}.",
            query=report.query, response=UsagePage, tag=TAG, permission=READ,
        )
        for report in REPORTS
    ]  # fmt: skip
    rows.append(
        Endpoint("GET", "/v1/organization/costs", costs, "Costs by day.", query=CostsQuery, response=UsagePage, tag=TAG, permission=READ)
    )
    return rows


def asked(call: Call, schema: type[Query]) -> Query:
    """The query. Lists may be written `models[]=a&models[]=b`, as the official clients do, or `models=a&models=b`."""
    call.principal.require(READ, "")
    lists = {name for name, hint in get_type_hints(schema).items() if get_origin(hint) is list}
    return convert(parse_query(_bracketed(call.scope["query_string"], lists)), schema, strict=False)


def _bracketed(raw: bytes, lists: set[str]) -> bytes:
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=200)
    except (UnicodeDecodeError, ValueError):
        return raw  # the parser proper explains it
    return urlencode([(name + "[]" if name in lists else name, value) for name, value in pairs]).encode()
