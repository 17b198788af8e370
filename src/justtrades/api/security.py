"""Who may act: bearer keys, compared as hashes and in constant time.

`/api/v1` denies by default: its one router carries `Admin` for all of its routes. The key file's key is for
people and scripts on this machine, so it opens nothing to a request that came over a proxy.
"""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException

from justtrades.api.doors import is_local
from justtrades.api.parts import Parts
from justtrades.store.secrets import hashed

bearer = HTTPBearer(auto_error=False, scheme_name="AdminKey", description="The key of `JUSTTRADES_ADMIN_KEY`.")


def parts_of(request: Request) -> Parts:
    """What this application was made of."""
    parts: Parts = request.app.state.parts
    return parts


PartsOf = Annotated[Parts, Depends(parts_of)]


def admin(
    request: Request, parts: PartsOf, given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
) -> str:
    """Who is asking, for the audit; 401 without a key that is good here."""
    by = _known_as(parts, request, given.credentials) if given else None
    if by is None:
        raise HTTPException(401, "an admin key is needed", {"WWW-Authenticate": "Bearer"})
    request.state.by = by
    return by


Admin = Annotated[str, Depends(admin)]


def _known_as(parts: Parts, request: Request, key: str) -> str | None:
    presented = hashed(key)
    if any([hmac.compare_digest(presented, known) for known in parts.admin_hashes]):  # noqa: C419 - each is compared
        return "admin key"
    if parts.local_hash is not None and hmac.compare_digest(presented, parts.local_hash) and is_local(request.scope):
        return "key file"
    return None
