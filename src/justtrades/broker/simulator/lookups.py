"""The query operations of every readable entity type: item, items, list, find, deps, ldeps, suggest.

What each does is in protocol.md section 1 (official): `item` and `find` answer 404 for what is not there,
`items` leaves unknown ids out, `find` never finds a position.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from justtrades.broker.simulator import calls, replies
from justtrades.broker.simulator.calls import Call
from justtrades.broker.simulator.replies import Reply, array
from justtrades.broker.simulator.sources import Source

Query = Mapping[str, str]


class Lookups:
    def __init__(self, sources: Mapping[str, Source]) -> None:
        self._sources = {kind.lower(): source for kind, source in sources.items()}
        self._spellings = {kind.lower(): kind for kind in sources}

    def spelled(self, endpoint: str) -> str | None:
        """The published spelling of a look-up, such as `cashBalance/deps`; None for what is none."""
        entity, _, operation = endpoint.lower().partition("/")
        kind = self._spellings.get(entity)
        return f"{kind}/{operation}" if kind and operation in QUERIES else None

    def reply(self, call: Call) -> Reply:
        """404 for an entity type or an operation that does not exist."""
        entity, _, operation = call.endpoint.partition("/")
        source, query = self._sources.get(entity), QUERIES.get(operation)
        if source is None or query is None:
            return replies.NOT_FOUND
        return query(source, call.query)


def _one(text: str | None) -> Reply:
    return replies.NOT_FOUND if text is None else Reply(200, text)


def _item(source: Source, query: Query) -> Reply:
    return _one(source.item(calls.number(query, "id")))


def _items(source: Source, query: Query) -> Reply:
    found = (source.item(id_) for id_ in calls.numbers(query, "ids"))
    return array([text for text in found if text is not None])


def _list(source: Source, _query: Query) -> Reply:
    return array(source.every())


def _find(source: Source, query: Query) -> Reply:
    return _one(source.named(calls.word(query, "name")))


def _deps(source: Source, query: Query) -> Reply:
    return array(source.children(calls.number(query, "masterid")))


def _ldeps(source: Source, query: Query) -> Reply:
    masters = calls.numbers(query, "masterids")
    return array([text for master in masters for text in source.children(master)])


def _suggest(source: Source, query: Query) -> Reply:
    limit = calls.number(query, "l") if "l" in query else 10
    return array(source.suggest(calls.word(query, "t"), limit))


QUERIES: Final[Mapping[str, Callable[[Source, Query], Reply]]] = {
    "item": _item,
    "items": _items,
    "list": _list,
    "find": _find,
    "deps": _deps,
    "ldeps": _ldeps,
    "suggest": _suggest,
}
