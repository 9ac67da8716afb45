"""The API's description is valid, says what is true, and no request that it allows breaks anything."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema  # type: ignore[import-untyped]
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from callcenter.desk.description import EXAMPLES
from callcenter.desk.events import Limits
from callcenter.model.access import Role
from tests.unit.desk.filled import ACME, open_filled
from tests.unit.desk.support import Floor
from tests.unit.desk.test_authorisation import ROUTES, ask

# Requests that are tried of each operation, wrong ones of each third; the script for long runs asks for more, of all.
REQUESTS = int(os.environ.get("CALLCENTER_FUZZ", "1"))
SPARING = "CALLCENTER_FUZZ" not in os.environ
CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance,
]  # fmt: skip
DESCRIPTION = "/api/v1/openapi.json"
# The stream does not end: what it takes is tried in its own tests.
ENDLESS = ("/api/v1/events",)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


@pytest.fixture(scope="module")
def floor(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Floor]:
    context = open_filled(tmp_path_factory.mktemp("desk"))
    made = runner.run(context.__aenter__())
    made.desk.hub.limits = Limits(heartbeat=0.01)
    yield made
    runner.run(context.__aexit__(None, None, None))


@pytest.fixture(scope="module")
def described(floor: Floor) -> dict[str, Any]:
    return floor.app.openapi()


def test_the_description_is_valid_openapi_3_1(described: dict[str, Any]) -> None:
    assert described["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(described).validate()


def test_it_is_served_to_everybody(floor: Floor, runner: asyncio.Runner, described: dict[str, Any]) -> None:
    nobody = runner.run(floor.client(None))
    answer = runner.run(nobody.get(DESCRIPTION))
    assert (answer.status_code, answer.json()) == (200, described)


def test_every_operation_says_what_it_does_and_what_problems_it_answers(described: dict[str, Any]) -> None:
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            assert operation.get("description") or operation.get("summary"), (method, path)
            for status in ("4XX", "5XX", "500", "503"):
                [media] = operation["responses"][status]["content"]
                assert media == "application/problem+json", (method, path)


def test_whoever_has_nothing_else_is_told_how_to_ask_and_each_body_by_an_example(described: dict[str, Any]) -> None:
    for word in ("Bearer", "Idempotency-Key", "If-Match", "Retry-After", "Last-Event-ID", "X-CSRF-Token"):
        assert word in described["info"]["description"], word
    tags = {tag for operations in described["paths"].values() for each in operations.values() for tag in each["tags"]}
    assert tags <= {each["name"] for each in described["tags"]}, "every group says what it is"
    for name, example in EXAMPLES.items():
        schema = {"$ref": f"#/components/schemas/{name}", "components": described["components"]}
        jsonschema.Draft202012Validator(schema).validate(example)
    delivery = described["webhooks"]["event"]["post"]["requestBody"]["content"]["application/json"]
    jsonschema.Draft202012Validator(delivery["schema"]).validate(delivery["example"])


def test_a_key_is_described_where_it_is_heeded(floor: Floor, runner: asyncio.Runner, described: dict[str, Any]) -> None:
    """The switch is told the key by whatever takes one, or what is made has its id of it."""
    ida = runner.run(floor.client(Role.ADMIN))
    for name in ROUTES:
        method, path = name.split(" ")
        if method in ("GET", "HEAD"):
            continue
        headers = {"Idempotency-Key": f"once for {name}"}
        whose = f"{ida.headers['Authorization']}\n{headers['Idempotency-Key']}"
        key = hashlib.sha256(whose.encode()).hexdigest()[:40]
        before = len(floor.asked)
        answer = runner.run(ask(floor, ida, name, ACME, "ana", headers))
        heeded = key in {each.id for each in floor.asked[before:]} or f"w-{key[:20]}" in answer.text
        parameters = described["paths"][path][method.lower()].get("parameters", [])
        says_so = any(each["name"] == "Idempotency-Key" for each in parameters)
        if name != "POST /api/v1/customers/import":  # of a file it is the program's that takes it in
            assert says_so is heeded, name


def test_every_list_of_things_has_an_example(described: dict[str, Any]) -> None:
    for name in ("Call", "Recording", "Queue", "Agent", "Client", "Snapshot"):
        fields = described["components"]["schemas"][name]["properties"].values()
        assert any("examples" in each for each in fields), name


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["allowed", "not_allowed"])
def test_no_request_breaks_anything(
    floor: Floor, runner: asyncio.Runner, described: dict[str, Any], mode: GenerationMode
) -> None:
    """Every operation, with what its description allows and what not: answers are as described, and none is a failure
    of ours.
    """
    clients = {role: runner.run(floor.client(role, **who)) for role, who in WHO.items()}
    schema = schemathesis.openapi.from_dict(described)
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    assert len(operations) == len(list(schema.get_all_operations()))
    assert len(operations) >= 20
    every = 3 if SPARING and mode is GenerationMode.NEGATIVE else 1
    for operation in operations[::every]:
        if operation.path in ENDLESS:
            continue

        @settings(
            max_examples=REQUESTS,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy(generation_mode=mode), st.sampled_from(list(Role)), st.booleans())
        def tried(case: Any, role: Role, known: bool) -> None:
            if known and case.path_parameters:
                # Chance alone never hits on what is there.
                for name in case.path_parameters:
                    case.path_parameters[name] = ACME.get(name, case.path_parameters[name])
            arguments = case.as_transport_kwargs(base_url="http://desk.test")
            headers = {
                name: value
                for name, value in dict(arguments.pop("headers", {})).items()
                if name.lower() not in ("authorization", "content-length")
            }
            arguments.pop("cookies", None)
            body = arguments.pop("data", None)
            request = clients[role].build_request(headers=headers, content=body, **arguments)
            answer = runner.run(_sent(clients[role], request))
            case.validate_response(answer, checks=CHECKS)
            if answer.status_code >= 400:
                listed = described["paths"][case.operation.path][case.operation.method.lower()]["responses"]
                assert str(answer.status_code) in listed, (case.operation.label, answer.text)

        try:
            tried()
        except Unsatisfiable:  # it takes nothing that could be wrong
            assert mode is GenerationMode.NEGATIVE
            assert operation.method.upper() != "POST"


async def _sent(client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    async with asyncio.timeout(20):
        return await client.send(request)


WHO: dict[Role, dict[str, Any]] = {
    Role.AGENT: {"agent": "ana"},
    Role.SUPERVISOR: {"clients": {"acme"}},
    Role.ADMIN: {},
    Role.CLIENT: {"clients": {"acme"}},
}


def test_what_the_framework_refuses_is_a_problem_too(floor: Floor, runner: asyncio.Runner, tmp_path: Path) -> None:
    ida = runner.run(floor.client(Role.ADMIN))
    for method, path, status in (
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/elsewhere", 404),
        ("DELETE", "/api/v1/calls", 405),
        ("GET", "/api/v1/calls?limit=0", 422),
        ("GET", "/api/v1/calls?limit=many", 422),
        ("GET", "/api/v1/calls?since=yesterday", 422),
        ("GET", "/api/v1/calls?since=0001-01-01T00:00:00%2B14:00", 422),
        ("GET", "/api/v1/calls?after=mine", 422),
        ("GET", "/api/v1/reports/colours", 422),
        ("GET", "/api/v1/reports/queues?by=colour", 422),
        ("GET", "/api/v1/reports/queues?from=2026-02-30", 422),
        ("GET", "/api/v1/reports/queues?from=0001-01-01", 422),
        ("GET", "/api/v1/reports/calls?to=9999-12-31", 422),
        ("POST", "/api/v1/config/reload", 422),
    ):
        answer = runner.run(ida.request(method, path, json={"revision": 7} if method == "POST" else None))
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), path
        told = answer.json()
        assert {"type", "title", "status", "detail", "reason"} <= set(told), path
        assert told["status"] == status
        if status == 422:
            assert told.get("field"), (path, told)
