"""P6.3, prod.security: what every answer says to a browser, who else may ask, and what nobody is told."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

from pydantic import BaseModel

from clients.http_port import ANY_5XX, WireAnswer
from clients.service_clients import ServiceClients
from core.description.base import Route
from core.expect import expect, expect_equal, expect_status
from core.passport import check
from core.permit import Action
from core.run import Run
from scenarios.adapter import Adapter
from suites.types import NewActor, Witness

PLATFORM = "platform"
HALF_A_YEAR = 15_552_000
"""Seconds: the least that browsers' preload lists and scanners take for a promise."""
RUNS_ANYTHING = {"*", "http:", "https:", "data:", "blob:", "'unsafe-inline'", "'unsafe-eval'"}
"""Sources that let scripts of others run."""
QUIET = {"no-referrer", "same-origin", "strict-origin", "strict-origin-when-cross-origin"}
EVIL = "https://evil.example"


def policy(answer: WireAnswer) -> dict[str, list[str]]:
    """The answer's content security policy: sources by directive."""
    text = answer.headers.get("content-security-policy", "")
    words = [part.split() for part in text.split(";") if part.strip()]
    return {name.lower(): sources for name, *sources in words}


def expect_common(answer: WireAnswer) -> None:
    """What every answer must say, page or API."""
    say = answer.headers.get
    expect_equal(
        say("x-content-type-options"),
        "nosniff",
        f"{answer.asked} forbids browsers to guess its type",
        service=PLATFORM,
    )
    age = re.search(r"max-age=(\d+)", say("strict-transport-security", ""))
    expect(
        age and int(age[1]) >= HALF_A_YEAR,
        f"{answer.asked} asks browsers to come by TLS alone (Strict-Transport-Security)",
        expected=f"max-age of {HALF_A_YEAR} or more",
        saw=say("strict-transport-security"),
        service=PLATFORM,
    )
    expect(
        say("referrer-policy") in QUIET,
        f"{answer.asked} keeps addresses from other sites (Referrer-Policy)",
        expected=" or ".join(sorted(QUIET)),
        saw=say("referrer-policy"),
        service=PLATFORM,
    )


def expect_kept_by_no_cache(answer: WireAnswer) -> None:
    """What an answer of the API must say beside, so that no cache on the way hands it to somebody else."""
    kept = answer.headers.get("cache-control", "")
    expect(
        "no-store" in kept or ("private" in kept and "no-cache" in kept),
        f"{answer.asked} is kept by no cache on the way",
        expected="Cache-Control: no-store",
        saw=kept or "not said",
        service=PLATFORM,
    )


def shut(services: ServiceClients, path: str, origin: str = "") -> WireAnswer:
    """The refusal that nobody gets at a private route; Missed where the platform answers otherwise."""
    answer = services.platform.call("GET", path, headers={"Origin": origin} if origin else {})
    expect_status(answer, 401, f"GET {path} refuses nobody", service=PLATFORM)
    return answer


@check(
    "security.headers",
    "Every page and refusal tells browsers to run nothing foreign, guess no types and keep to TLS",
    requirement=("P6.3", "prod.security"),
    service=PLATFORM,
    needs=("platform.api", "platform.private"),
    actions=(Action.READ,),
)
def test_headers(run: Run, services: ServiceClients, witness: Witness) -> None:
    """Pages by their content security policy, the API's refusals by what may be kept of them."""
    described = run.target.description.platform
    pages = (*described.pages.public, *described.pages.signed_in)
    for path in pages:
        page = services.platform.call("GET", path, headers={"Accept": "text/html"})
        page.expect(200, claim=f"the page {path} is answered")
        expect_common(page)
        rules = policy(page)
        scripts = rules.get("script-src", rules.get("default-src", ["*"]))
        expect(
            not RUNS_ANYTHING & set(scripts),
            f"the page {path} runs no script but its own (Content-Security-Policy)",
            expected="a script-src or default-src without wildcard and unsafe sources",
            saw=page.headers.get("content-security-policy"),
            service=PLATFORM,
        )
        framing = rules.get("frame-ancestors", [])
        expect(
            framing and not {"*", "http:", "https:"} & set(framing),
            f"the page {path} may not be framed by anybody (frame-ancestors)",
            expected="'none', or origins by name",
            saw=framing or "not said",
            service=PLATFORM,
        )
    refusals = [shut(services, path) for path in described.private]
    unknown = services.platform.call("GET", f"{described.private[0]}/assay-nothing")
    expect(
        400 <= unknown.status < 500,
        f"{unknown.asked} answers a refusal",
        saw=unknown.said(),
        service=PLATFORM,
    )
    for answer in (*refusals, unknown):
        expect_common(answer)
        expect_kept_by_no_cache(answer)
    witness("the wire", f"headers of {len(pages)} pages and {len(refusals) + 1} refusals")


@check(
    "security.private_headers",
    "What a person is answered tells browsers to guess no types, keep to TLS and keep no copy",
    requirement=("P6.3", "prod.security"),
    service=PLATFORM,
    needs=("platform.api", "auth.email", "platform.private"),
)
def test_private_headers(run: Run, services: ServiceClients, actor: NewActor, witness: Witness) -> None:
    """Every private route, asked by a person of this check's own."""
    person = actor()
    private = run.target.description.platform.private
    for path in private:
        answer = services.platform.call("GET", path, token=person.access_token)
        expect_status(answer, 200, f"GET {path} answers a person", service=PLATFORM)
        expect_common(answer)
        expect_kept_by_no_cache(answer)
    witness("the wire", f"headers of {len(private)} answers")


@check(
    "security.other_origins",
    "A page of another site reads nothing of the API",
    requirement=("P6.3", "prod.security"),
    service=PLATFORM,
    needs=("platform.api", "platform.private"),
    actions=(Action.READ,),
)
def test_other_origins(run: Run, services: ServiceClients, witness: Witness) -> None:
    """Judged as a browser would: by Access-Control-Allow-Origin in what nobody is answered, and in answers to preflights."""
    routes, read = asked_routes(run)
    for origin in (EVIL, "null"):
        for path in run.target.description.platform.private:
            _unreadable(shut(services, path, origin), origin)
        for path in read:
            _unreadable(_asked_from(services, origin, path), origin)
        for wanted, path in routes:
            preflight = services.platform.call(
                "OPTIONS",
                path,
                headers={
                    "Origin": origin,
                    "Access-Control-Request-Method": wanted,
                    "Access-Control-Request-Headers": "authorization,content-type",
                },
                allow=ANY_5XX,
            )
            _unreadable(preflight, origin)
    witness(
        "the wire",
        f"no answer to {len(read)} addresses and {len(routes)} preflights lets another origin read",
    )


@check(
    "security.other_origins_signed_in",
    "A page of another site reads nothing of the API, not even with a person's token",
    requirement=("P6.3", "prod.security"),
    service=PLATFORM,
    needs=("platform.api", "auth.email", "platform.private"),
)
def test_other_origins_signed_in(
    run: Run, services: ServiceClients, adapter: Adapter, actor: NewActor, witness: Witness
) -> None:
    """As a browser would judge: by Access-Control-Allow-Origin in what a person is answered."""
    person = actor()
    for path in run.target.description.platform.private:
        own = adapter.get(services.platform.port, path, person.access_token)
        expect_status(own, 200, f"a person's own GET {path} is answered (positive control)", service=PLATFORM)
    _, read = asked_routes(run)
    for origin in (EVIL, "null"):
        for path in read:
            _unreadable(_asked_from(services, origin, path, person.access_token), origin)
    witness("the wire", f"no answer to {len(read)} addresses lets another origin read")


def asked_routes(run: Run) -> tuple[list[tuple[str, str]], list[str]]:
    """(method, path) of every route that the description names, and the paths that are read."""
    described = run.target.description
    routes = {(route.method, re.sub(r"\{[^}]*\}", "none", route.path)) for route in routes_of(described)}
    routes |= {("GET", path) for path in described.platform.private}
    # What no route is described for, and what is refused, must not be readable either.
    return sorted(routes), [path for method, path in sorted(routes) if method == "GET"] + ["/api/nothing"]


def _asked_from(services: ServiceClients, origin: str, path: str, token: str | None = None) -> WireAnswer:
    """Asked without what the route may want: only the headers of the answer count."""
    return services.platform.call("GET", path, token=token, headers={"Origin": origin}, allow=ANY_5XX)


def routes_of(part: object) -> Iterator[Route]:
    """Every route that a description names, wherever it stands in it."""
    if isinstance(part, Route):
        yield part
    elif isinstance(part, BaseModel):
        for name in type(part).model_fields:
            yield from routes_of(getattr(part, name))
    elif isinstance(part, dict | list | tuple):
        for one in part.values() if isinstance(part, dict) else part:
            yield from routes_of(one)


def _unreadable(answer: WireAnswer, origin: str) -> None:
    said = answer.headers.get("access-control-allow-origin")
    expect(
        said not in (origin, "*"),
        f"{answer.asked} may not be read by a page of {origin}",
        expected="no Access-Control-Allow-Origin for it",
        saw=said,
        service=PLATFORM,
    )


def public_texts(services: ServiceClients) -> Iterable[tuple[str, str]]:
    """(path, text) of what anybody may read: configuration, first page, its scripts and what these load."""
    for path in services.run.target.description.platform.pages.configuration:
        yield path, services.platform.call("GET", path).demand(200).text
    waiting, seen = ["/"], set()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        answer = services.platform.call("GET", path, headers={"Accept": "*/*"})
        if answer.status != 200:
            continue
        yield path, answer.text
        found = re.findall(r"""["'(](?:\.?/)?(?:assets/)?([\w.-]+\.js)["')]""", answer.text)
        waiting += [f"/assets/{name}" for name in found]


@check(
    "security.nothing_secret",
    "Nothing that anybody may read holds a secret or a source map",
    requirement=("P6.3", "prod.security"),
    service=PLATFORM,
    needs=("platform.web", "platform.api", "auth.email"),
    actions=(Action.READ,),
)
def test_nothing_secret(run: Run, services: ServiceClients, witness: Witness) -> None:
    """Every secret of the target is looked for in the configuration, the first page and every script behind it."""
    secrets = {
        variable.name: value
        for service in run.target.services
        for variable in service.variables
        if variable.secret and (value := run.target.find(variable.name)) and len(value) >= 8
    }
    public = services.auth.public_key
    texts = dict(public_texts(services))
    expect(
        any(public in text for text in texts.values()),
        "the public key is found in what anybody may read (positive control)",
        saw=f"{len(texts)} texts without it",
        service=PLATFORM,
    )
    scripts = [path for path in texts if path.endswith(".js")]
    expect(scripts, "the first page has scripts to be looked through", saw=sorted(texts), service=PLATFORM)
    for path, text in texts.items():
        held = sorted(name for name, value in secrets.items() if value in text)
        expect_equal(held, [], f"{path} holds no secret", service=PLATFORM)
    for path in scripts:
        answer = services.platform.call("GET", f"{path}.map", headers={"Accept": "*/*"})
        expect(
            answer.status != 200 or '"mappings"' not in answer.text,
            f"the source map of {path} is not handed out",
            saw=f"{answer.status}, {len(answer.content)} bytes",
            service=PLATFORM,
        )
    witness("the wire", f"{len(texts)} public texts, {len(secrets)} secrets")


@check(
    "security.errors_tell_nothing",
    "The answer to an error of the platform's own tells nothing of the inside",
    requirement=("P6.3", "prod.security"),
    service=PLATFORM,
    needs=("platform.api", "auth.email", "platform.error"),
)
def test_errors_tell_nothing(
    run: Run, services: ServiceClients, adapter: Adapter, actor: NewActor, witness: Witness
) -> None:
    """An error that carries a marker is provoked: neither marker, nor stack, nor a source's name is answered."""
    marker = f"m{run.tag()}"
    person = actor()
    failed = adapter.fail(services.platform.port, person.access_token, marker)
    expect_status(failed, 500, "an error of the platform's own answers 500", service=PLATFORM)
    inside = [w for w in (marker, "    at ", "node_modules", ".ts:", ".mjs:") if w in json.dumps(failed.text)]
    expect_equal(inside, [], "an error's answer tells nothing of the inside", service=PLATFORM)
    witness("the wire", f"{failed.status} and {len(failed.text)} characters")
