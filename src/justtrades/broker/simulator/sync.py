"""The answer to `user/syncrequest`: everything a login sees, in Tradovate's arrays (protocol.md section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from justtrades.broker.simulator import listing
from justtrades.broker.simulator.documents import Entity, dumps
from justtrades.broker.simulator.floor import Floor
from justtrades.broker.simulator.sessions import Session
from justtrades.broker.simulator.sources import Source

_PLURALS: Final = {
    "account": "accounts",
    "accountRiskStatus": "accountRiskStatuses",
    "marginSnapshot": "marginSnapshots",
    "userAccountAutoLiq": "userAccountAutoLiqs",
    "cashBalance": "cashBalances",
    "currency": "currencies",
    "position": "positions",
    "fillPair": "fillPairs",
    "order": "orders",
    "exchange": "exchanges",
    "spreadDefinition": "spreadDefinitions",
    "command": "commands",
    "commandReport": "commandReports",
    "executionReport": "executionReports",
    "orderVersion": "orderVersions",
    "fill": "fills",
    "fillFee": "fillFees",
    "orderStrategy": "orderStrategies",
    "orderStrategyLink": "orderStrategyLinks",
    "orderStrategyType": "orderStrategyTypes",
    "userProperty": "userProperties",
    "property": "properties",
    "userPlugin": "userPlugins",
    "contractGroup": "contractGroups",
    "tradingPermission": "tradingPermissions",
    "annualReview": "annualReviews",
    "userReadStatus": "userReadStatuses",
    "userPromoCode": "userPromoCodes",
}
_USERS_SINCE: Final = "2026-01-01T00:00:00.000Z"
_REQUIRED: Final = ("users", "contractGroups")


class SyncMessage:
    """`omit_empty`: empty arrays are left out, as the spec allows for all but two. `bare`: what no `entityTypes`
    asked for is left out, as the partner pages say of the newer default."""

    def __init__(self, floor: Floor, sources: Mapping[str, Source]) -> None:
        self.omit_empty = False
        self.bare = False
        self._floor = floor
        self._sources = sources

    def text(self, session: Session, wanted: object = None) -> str:
        """The whole message; a list of `wanted` entity types leaves the others out."""
        arrays = {"users": [dumps(user_document(session))]}
        for kind, name in _PLURALS.items():
            if kind in wanted if isinstance(wanted, list) else not self.bare:
                arrays[name] = self._sources[kind].every()
        if not self.bare or isinstance(wanted, list):
            arrays |= self._listed()
        shown = (f'"{name}":[{",".join(texts)}]' for name, texts in arrays.items() if texts or self._shows(name))
        return f"{{{','.join(shown)}}}"

    def _shows(self, name: str) -> bool:
        return not self.omit_empty or name in _REQUIRED

    def _listed(self) -> dict[str, list[str]]:
        """Contracts that are held or have live orders, with their maturities and products."""
        book, now = self._floor.venue.book, self._floor.clock()
        ids = {live.order["contractId"] for live in book.orders.values()} | {key[1] for key in book.holdings}
        contracts = [contract for id_ in sorted(ids) if (contract := listing.contract_by_id(id_))]
        roots = {contract.root.symbol: contract.root for contract in contracts}
        return {
            "contracts": [dumps(listing.contract_document(contract)) for contract in contracts],
            "contractMaturities": [dumps(listing.maturity_document(one, now)) for one in contracts],
            "products": [dumps(listing.product_document(root)) for root in roots.values()],
        }


def user_document(session: Session) -> Entity:
    return {
        "id": session.user_id,
        "name": session.user,
        "timestamp": _USERS_SINCE,
        "userType": "Trader",
        "email": f"{session.user}@paper.invalid",
        "status": "Active",
        "professional": False,
        "organizationId": 1,
        "hibernated": False,
    }
