"""`/docs`, `/openapi.json` and `/`: pages that need nothing from elsewhere.

The Swagger assets come out of an installed package, and the pages' own policy forbids a browser to ask any other
host, so they work on a machine without a network and tell nobody that they were looked at.
"""

from __future__ import annotations

import html
import json
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from swagger_ui_bundle import swagger_ui_path

from justtrades.api.problems import not_found
from justtrades.api.security import PartsOf

router = APIRouter(include_in_schema=False)

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
ASSETS: Final = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>justtrades · API</title>
<link rel="icon" type="image/png" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""

# validatorUrl null: else the page would send its address to a validator elsewhere.
_OPTIONS: Final[dict[str, Any]] = {
    "url": "openapi.json",
    "dom_id": "#swagger-ui",
    "deepLinking": True,
    "displayRequestDuration": True,
    "tryItOutEnabled": True,
    "validatorUrl": None,
    "docExpansion": "list",
    "defaultModelsExpandDepth": 0,
}

_FRONT: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>justtrades</title>
<link rel="icon" type="image/png" href="docs/favicon-32x32.png">
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem; color: #222;
  background: #fff }}
a {{ color: #0b5bd3 }}
@media (prefers-color-scheme: dark) {{ body {{ color: #ddd; background: #181818 }} a {{ color: #7ab0ff }} }}
</style>
</head>
<body>
<h1>justtrades {version}</h1>
<p>{state}</p>
<ul>
<li><a href="docs">API and examples</a>: send a signal by hand</li>
<li><a href="healthz">healthz</a> · <a href="readyz">readyz</a></li>
</ul>
</body>
</html>
"""


@router.get("/")
async def front(parts: PartsOf) -> HTMLResponse:
    """What runs, for whoever opens the address in a browser."""
    reasons = parts.desk.not_ready()
    state = f"Running, not ready yet: {'; '.join(reasons)}." if reasons else "Running and ready."
    page = _FRONT.format(version=html.escape(parts.version), state=html.escape(state))
    return HTMLResponse(page, headers=HEADERS)


@router.get("/docs")
async def docs() -> HTMLResponse:
    return HTMLResponse(_PAGE, headers=HEADERS)


@router.get("/docs/start.js")
async def start() -> Response:
    """A file of its own: the page's policy runs no script that stands in the page."""
    script = f"window.ui = SwaggerUIBundle({json.dumps(_OPTIONS)});\n"
    return Response(script, media_type="text/javascript", headers=HEADERS)


@router.get("/docs/{asset}")
async def asset(asset: str) -> FileResponse:
    if asset not in ASSETS:
        raise not_found("page")
    return FileResponse(
        str(swagger_ui_path / asset), media_type=ASSETS[asset], headers={"Cache-Control": "max-age=86400"}
    )


@router.get("/favicon.ico")
async def favicon() -> FileResponse:
    return await asset("favicon-32x32.png")


@router.get("/openapi.json")
async def openapi(request: Request) -> JSONResponse:
    return JSONResponse(request.app.openapi())
