"""Who may act: bearer keys, compared as hashes and in constant time, each with a scope.

`/api/v1` denies by default: its one router carries `Admin` for all of its routes, and what each asks for stands in
`rules`. The key file's key is for people and scripts on this machine, so it opens nothing to a request that came
over a proxy.
"""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException

from justtrades.api.doors import is_local
from justtrades.api.keyring import Holder, Keyring
from justtrades.api.parts import Parts
from justtrades.api.rules import needed
from justtrades.store.keys import Scope
from justtrades.store.secrets import hashed

bearer = HTTPBearer(
    auto_error=False,
    scheme_name="AdminKey",
    description="The key of `JUSTTRADES_ADMIN_KEY`, or one of `/api/v1/keys` whose scope suffices.",
)


def parts_of(request: Request) -> Parts:
    """What this application was made of."""
    parts: Parts = request.app.state.parts
    return parts


PartsOf = Annotated[Parts, Depends(parts_of)]


async def admin(
    request: Request, parts: PartsOf, given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
) -> str:
    """Who is asking, for the audit; 401 without a key that is good here, 403 when its scope is too small."""
    holder = await _known_as(parts, request, given.credentials) if given else None
    if holder is None:
        raise HTTPException(401, "an admin key is needed", {"WWW-Authenticate": "Bearer"})
    request.state.by = holder.by
    wanted = needed(request.method, request.scope["route"].path)
    if not holder.scope.includes(wanted):
        raise HTTPException(403, f"this key may only {holder.scope}: a key of scope {wanted} is needed")
    return holder.by


Admin = Annotated[str, Depends(admin)]


async def _known_as(parts: Parts, request: Request, key: str) -> Holder | None:
    ring: Keyring = request.app.state.keyring
    holder = await ring.find(parts, key)
    if holder is None and parts.local_hash is not None and hmac.compare_digest(hashed(key), parts.local_hash):
        return Holder("key file", Scope.ADMIN) if is_local(request.scope) else None
    return holder
