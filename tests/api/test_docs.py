"""The pages, and the document they draw."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import httpx
import pytest

from justtrades.api import alerts
from justtrades.api.app import create_app
from tests.api.world import World

ELSEWHERE = re.compile(r"""(?:src|href|url)\s*[=(:]\s*["']?(?:https?:)?//""", re.IGNORECASE)


def references(page: str) -> list[str]:
    return re.findall(r'(?:src|href)="([^"]+)"', page)


@pytest.mark.parametrize("path", ["/docs", "/"])
async def test_a_page_asks_nobody_else_and_everything_it_asks_for_is_there(world: World, path: str) -> None:
    page = await world.http.get(path)
    assert page.status_code == 200
    assert ELSEWHERE.search(page.text) is None
    assert references(page.text)
    for reference in references(page.text):
        assert (await world.http.get(f"/{reference}")).status_code == 200, reference


async def test_the_browser_is_forbidden_to_ask_anybody_else(world: World) -> None:
    policy = (await world.http.get("/docs")).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert "'unsafe-eval'" not in policy


async def test_the_page_does_not_send_its_address_to_a_validator(world: World) -> None:
    script = (await world.http.get("/docs/start.js")).text
    options = json.loads(script[script.index("(") + 1 : script.rindex(")")])
    assert options["validatorUrl"] is None
    assert options["url"] == "openapi.json"


async def test_only_the_listed_assets_are_served(world: World) -> None:
    for name in ("index.html", "swagger-ui.js", "..%2f..%2fpyproject.toml", "oauth2-redirect.html"):
        assert (await world.http.get(f"/docs/{name}")).status_code == 404


async def test_there_is_one_ready_example_per_alert_shape(world: World) -> None:
    document = (await world.http.get("/openapi.json")).json()
    forms = document["paths"]["/webhook/{token}"]["post"]["requestBody"]["content"]
    examples = [one for form in forms.values() for one in form["examples"].values()]
    sent = [await world.alert(one["value"]) for one in examples]
    assert [answer.status_code for answer in sent] == [202] * len(sent)
    dialects = {arrival.reading.dialect for arrival in world.desk.arrivals}
    assert dialects == {dialect.name for dialect in alerts.DIALECTS}


async def test_the_page_opens_with_an_alert_that_is_taken_as_it_stands(world: World) -> None:
    """Swagger UI first shows the schema's own sample, and knows it again as the first of the examples."""
    document = (await world.http.get("/openapi.json")).json()
    content = document["paths"]["/webhook/{token}"]["post"]["requestBody"]["content"]["application/json"]
    first = next(iter(content["examples"].values()))
    assert content["schema"]["example"] == first["value"]
    assert (await world.alert(content["schema"]["example"])).status_code == 202


async def test_the_demo_token_is_filled_in_when_there_is_one(world: World) -> None:
    app = create_app(replace(world.parts, demo_token="a-demo-token"))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://engine.test") as http:
        document = (await http.get("/openapi.json")).json()
    (token,) = document["paths"]["/webhook/{token}"]["post"]["parameters"]
    assert token["example"] == "a-demo-token"
    plain = (await world.http.get("/openapi.json")).json()
    assert "example" not in plain["paths"]["/webhook/{token}"]["post"]["parameters"][0]


async def test_the_document_is_one_that_the_page_can_draw(world: World) -> None:
    document = (await world.http.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.0")
    text = json.dumps(document)
    assert '"type": "null"' not in text
    assert '"const"' not in text
    referred = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
    missing = referred - set(document["components"]["schemas"])
    assert missing == set()
    for node in nodes(document):
        for bound in ("exclusiveMinimum", "exclusiveMaximum"):
            assert isinstance(node.get(bound, True), bool)


async def test_every_operation_of_the_api_is_described_whole(world: World) -> None:
    document = (await world.http.get("/openapi.json")).json()
    operations = [
        (path, method, operation)
        for path, methods in document["paths"].items()
        if path.startswith("/api/v1/")
        for method, operation in methods.items()
    ]
    assert len(operations) >= 27
    for path, method, operation in operations:
        assert operation["security"] == [{"AdminKey": []}], (path, method)
        done = next(answer for status, answer in operation["responses"].items() if status.startswith("2"))
        assert "content" in done or "204" in operation["responses"], (path, method)
        for status in ("401", "422"):
            assert "application/problem+json" in operation["responses"][status]["content"], (path, method)
    assert document["components"]["securitySchemes"]["AdminKey"]["scheme"] == "bearer"


def nodes(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, list):
        return [node for part in value for node in nodes(part)]
    if isinstance(value, dict):
        return [value, *(node for part in value.values() for node in nodes(part))]
    return []
