"""Who may use which route: one literal table, and nothing that is missing from it is open to anybody but an admin.

    read    looks: lists, receipts, figures, and what an alert would do
    trade   also acts as a trader does: closes, flattens, stops, lets go on
    admin   also sets up: logins, recorders, keys, where news goes

A token's webhook and the pages a browser shows before anyone has logged in are open; what they show is no secret.
A test walks every route of the application and fails when one has no rule here.
"""

from __future__ import annotations

from typing import Final

from justtrades.store.keys import Scope

API: Final = "/api/v1"

OPEN: Final = frozenset(
    {
        ("POST", "/webhook/{token}"),  # the token is the key
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/"),
        ("GET", "/favicon.ico"),
        ("GET", "/docs"),
        ("GET", "/docs/start.js"),
        ("GET", "/docs/{asset}"),
        ("GET", "/openapi.json"),
        ("GET", "/api/v1/oauth/callback"),  # the state is the key: see `oauth`
        ("GET", "/oauth/callback"),
    }
)

RULES: Final = {
    ("GET", "/metrics"): Scope.READ,
    # connections and accounts
    ("POST", "/connections"): Scope.ADMIN,
    ("GET", "/connections"): Scope.READ,
    ("PATCH", "/connections/{connection_id}"): Scope.ADMIN,
    ("DELETE", "/connections/{connection_id}"): Scope.ADMIN,
    ("POST", "/connections/{connection_id}/test"): Scope.ADMIN,
    ("GET", "/connections/{connection_id}/oauth-url"): Scope.ADMIN,
    ("GET", "/accounts"): Scope.READ,
    ("GET", "/contracts"): Scope.READ,
    # recorders
    ("POST", "/recorders"): Scope.ADMIN,
    ("GET", "/recorders"): Scope.READ,
    ("GET", "/recorders/{recorder_id}"): Scope.READ,
    ("PATCH", "/recorders/{recorder_id}"): Scope.ADMIN,
    ("DELETE", "/recorders/{recorder_id}"): Scope.ADMIN,
    ("POST", "/recorders/{recorder_id}/rotate-token"): Scope.ADMIN,
    ("POST", "/import"): Scope.ADMIN,
    # what is and what happened
    ("GET", "/signals"): Scope.READ,
    ("GET", "/signals/{signal_id}"): Scope.READ,
    ("GET", "/lanes"): Scope.READ,
    ("GET", "/positions"): Scope.READ,
    ("GET", "/trades"): Scope.READ,
    ("GET", "/orders"): Scope.READ,
    ("GET", "/fills"): Scope.READ,
    ("GET", "/audit"): Scope.READ,
    ("GET", "/status"): Scope.READ,
    # what would be
    ("POST", "/explain"): Scope.READ,
    # acts of a person
    ("POST", "/positions/close"): Scope.TRADE,
    ("POST", "/flatten"): Scope.TRADE,
    ("GET", "/kill"): Scope.READ,
    ("PUT", "/kill"): Scope.TRADE,
    ("POST", "/reconcile"): Scope.TRADE,
    ("POST", "/lanes/resume"): Scope.TRADE,
    ("POST", "/accounts/{account_id}/resume"): Scope.TRADE,
    # keys
    ("GET", "/keys"): Scope.ADMIN,
    ("POST", "/keys"): Scope.ADMIN,
    ("DELETE", "/keys/{key_id}"): Scope.ADMIN,
    # whom to tell
    ("GET", "/notifications"): Scope.READ,
    ("POST", "/notifications"): Scope.ADMIN,
    ("DELETE", "/notifications/{notification_id}"): Scope.ADMIN,
    ("POST", "/notifications/{notification_id}/test"): Scope.ADMIN,
}
"""By method and path; those of `/api/v1` stand without it."""


def needed(method: str, path: str) -> Scope:
    """The scope this route asks for. HEAD is as GET; a route without a rule is an admin's."""
    asked = "GET" if method == "HEAD" else method
    return RULES.get((asked, path.removeprefix(API)), Scope.ADMIN)
