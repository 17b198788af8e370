"""I4: at rest our quantity and the foreign one we show make the broker's, and the same for working orders.

Orders of others are shown where the engine has a lane."""

from __future__ import annotations

from tests.invariants.checker import Checker
from tests.invariants.facts import Place

LANE = "select quantity, foreign_quantity from lanes where account_id = ? and contract = ?"
LIVE = """select broker_order_id, id from orders where account_id = ? and contract = ?
          and status in ('sending', 'sent', 'working')"""


class Books(Checker):
    id = "I4"

    def at_rest(self) -> None:
        for place in self.facts.places():
            self._quantity(place)
            self._working(place)

    def _quantity(self, place: Place) -> None:
        broker, found = self.facts.net(place), self.facts.rows(LANE, *self.facts.lane(place))
        if not found:
            if self.facts.our_net(place):
                self.broken(f"{self.facts.shown(place)}: the broker holds {broker:+d} of ours and there is no lane")
            return
        ours, foreign = found[0]
        if ours + foreign != broker:
            text = f"our {ours:+d} and foreign {foreign:+d} beside the broker's {broker:+d}"
            self.broken(f"{self.facts.shown(place)}: {text}")

    def _working(self, place: Place) -> None:
        at_broker = {str(o["id"]) for o in self.facts.working(place) if self.facts.ours(o["id"])}
        in_books = {broker_id or own for broker_id, own in self.facts.rows(LIVE, *self.facts.lane(place))}
        if at_broker != in_books:
            text = f"working at the broker {sorted(at_broker)}, in our books {sorted(in_books)}"
            self.broken(f"{self.facts.shown(place)}: {text}")
        self._of_others(place)

    def _of_others(self, place: Place) -> None:
        desk = self.condition.desk
        views = desk.lanes() if desk is not None else ()
        view = next((v for v in views if (v.account_id, v.contract) == self.facts.lane(place)), None)
        if view is None:
            return
        working = {str(o["id"]) for o in self.facts.working(place) if not self.facts.ours(o["id"])}
        shown = {order.broker_order_id for order in view.foreign_orders}
        if working != shown:
            text = f"orders of others work at the broker {sorted(working)}, shown are {sorted(shown)}"
            self.broken(f"{self.facts.shown(place)}: {text}")
