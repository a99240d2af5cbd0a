"""How much a schema leaves open at one place: what an engine's grammar must keep in view at every token, and so what makes it slow.

Works on schemas whose references have been checked. Knows nothing of their other limits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

MAX_CHOICES = 500
"""Ways in which a value may go on. The embedded engine takes a tenth of a second for a token among 500, and others wait for it."""
MAX_OPTIONAL = 500
"""Optional properties of an object. The grammar has a rule for each pair of them: 500 take a second, 5000 minutes."""

_ALTERNATIVES = ("anyOf", "oneOf", "allOf")


def most_choices(nodes: Iterable[Any], resolved: Callable[[str], Any]) -> int:
    """The largest number of ways in which one of these schemas' values may begin. References are followed, each once."""
    known: dict[int, int] = {}
    open_nodes: set[int] = set()

    def choices(node: Any) -> int:
        if not isinstance(node, dict):
            return 1
        key = id(node)
        if key in known:
            return known[key]
        if key in open_nodes:
            return 0
        open_nodes.add(key)
        found = _own(node) + sum(map(choices, _others(node, resolved)))
        open_nodes.discard(key)
        known[key] = min(max(1, found), 2 * MAX_CHOICES)
        return known[key]

    try:
        return max(map(choices, nodes), default=0)
    except RecursionError:
        return MAX_CHOICES + 1


def _own(node: Mapping[str, Any]) -> int:
    return sum(len(node[name]) for name in ("enum", "type") if isinstance(node.get(name), list))


def _others(node: Mapping[str, Any], resolved: Callable[[str], Any]) -> list[Any]:
    parts = [part for name in _ALTERNATIVES if isinstance(node.get(name), list) for part in node[name]]
    return [*parts, resolved(node["$ref"])] if isinstance(node.get("$ref"), str) else parts


def optional_pairs(node: Mapping[str, Any]) -> int:
    """The square of the number of this object's optional properties."""
    names, required = node.get("properties"), node.get("required")
    if not isinstance(names, dict):
        return 0
    needed = {name for name in required if isinstance(name, str)} if isinstance(required, list) else set()
    return len(names.keys() - needed) ** 2
