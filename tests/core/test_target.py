"""A target is complete before anything happens: what is missing, empty or malformed is one sentence."""

import pytest

from clients.services import catalogue
from core.errors import ConfigError, PermitError
from core.events import TargetResolved
from core.permit import Action
from core.service import Service, Variable
from core.target import resolve

AUTH = Service(
    "supabase.auth",
    "Supabase Auth",
    (
        Variable("VITE_SUPABASE_URL", url=True),
        Variable("SUPABASE_SERVICE_KEY", secret=True, aliases=("SUPABASE_SECRET_KEY",)),
        Variable("SUPABASE_DB_URL", secret=True, url=True, witness=True, right="SELECT", lost="SQL proof"),
    ),
    {"auth.email": "sign-up by e-mail"},
)
KV = Service(
    "kv",
    "KV",
    (Variable("KV_NAMESPACE_ID"), Variable("CF_URL", default="https://api.example", url=True)),
    {"cache.kv": "x"},
)
GOOD = {"VITE_SUPABASE_URL": "https://x.supabase.co", "SUPABASE_SERVICE_KEY": "sb_secret_123456789"}
TOML = '[capabilities]\n"auth.email" = "required"\ncache.kv = "absent"\n'


def live(tmp_path, environment, toml=TOML):
    file = tmp_path / "target.toml"
    if toml is not None:
        file.write_text(toml)
    return resolve("live", [AUTH, KV], environment=environment, file=file)


def test_a_whole_target(tmp_path):
    target = live(tmp_path, GOOD)
    assert target.has("auth.email")
    assert not target.has("cache.kv")
    assert str(target.secret("SUPABASE_SERVICE_KEY")) == "***"
    assert "sb_secret" not in repr(TargetResolved.of(target)) + repr(target)
    assert not target.permit.allows(Action.LOAD)
    assert not target.permit.allows(Action.DESTRUCTIVE)


def test_an_alias_serves(tmp_path):
    environment = {"VITE_SUPABASE_URL": "https://x.supabase.co", "SUPABASE_SECRET_KEY": "other-key"}
    assert live(tmp_path, environment).get("SUPABASE_SERVICE_KEY") == "other-key"


@pytest.mark.parametrize("value", [None, "", "   "])
def test_missing_and_empty_are_the_same(tmp_path, value):
    environment = {k: v for k, v in {**GOOD, "SUPABASE_SERVICE_KEY": value}.items() if v is not None}
    with pytest.raises(ConfigError, match="SUPABASE_SERVICE_KEY is missing or empty"):
        live(tmp_path, environment)


@pytest.mark.parametrize("value", ["nonsense", "https://", "ftp://host", "http://[bad", "//x"])
def test_a_malformed_address_names_its_variable(tmp_path, value):
    with pytest.raises(ConfigError, match="VITE_SUPABASE_URL"):
        live(tmp_path, {**GOOD, "VITE_SUPABASE_URL": value})


def test_a_secret_address_is_not_shown(tmp_path):
    with pytest.raises(ConfigError) as caught:
        live(tmp_path, {**GOOD, "SUPABASE_DB_URL": "postgres-pa55word-host"})
    assert "pa55word" not in str(caught.value)


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        (None, "does not exist"),
        ("[capabilities\n", "line 1"),
        (TOML + '"auth.magic" = "required"\n', "'auth.magic' is not a capability"),
        (TOML.replace("absent", "maybe"), '"maybe"'),
        (TOML + "[colour]\nred = 1\n", "colour is not known"),
        (TOML + '[permit]\nactions = ["fly"]\n', '"fly"'),
        (TOML + '[permit]\nactions = ["outage"]\n', "embedded target alone"),
    ],
)
def test_a_wrong_description_is_one_sentence(tmp_path, toml, says):
    with pytest.raises(ConfigError) as caught:
        live(tmp_path, GOOD, toml)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value).strip() or "line" in str(caught.value)


def test_what_is_not_named_is_absent(tmp_path):
    target = live(tmp_path, GOOD, "")
    assert not target.has("auth.email")
    assert not target.has("cache.kv")


def test_an_unknown_kind_is_one_sentence():
    with pytest.raises(ConfigError, match="--target embedded or --target live"):
        resolve("production", [AUTH])


def test_only_known_hosts_may_be_contacted(tmp_path):
    permit = live(tmp_path, GOOD).permit
    assert permit.contact("https://x.supabase.co/rest/v1") == "https://x.supabase.co/rest/v1"
    for stranger in ("https://evil.example", "https://x.supabase.co.evil.example", "127.0.0.1:80"):
        with pytest.raises(PermitError, match="not one of this target's"):
            permit.contact(stranger)


def test_a_required_service_uses_the_vendors_address(tmp_path):
    toml = TOML.replace('"absent"', '"required"')
    assert live(tmp_path, {**GOOD, "KV_NAMESPACE_ID": "n"}, toml).get("CF_URL") == "https://api.example"


def test_the_real_catalogue_names_right_and_loss_of_every_witness():
    names = {}
    for service in catalogue():
        assert service.capabilities, service.id
        for variable in service.variables:
            assert variable.name.isupper()
            assert not variable.witness or (variable.right and variable.lost)
            names.setdefault(variable.name, []).append(variable)
    for name, uses in names.items():
        assert len({(v.secret, v.default, v.url) for v in uses}) == 1, f"{name} is described in two ways"


FILE = "[capabilities]\n" + "".join(f'"{name}" = "required"\n' for name in ("auth.email", "storage.r2"))


def real(tmp_path, environment):
    """A live target of the services as they are, with Auth and R2."""
    (tmp_path / "target.toml").write_text(FILE)
    return resolve("live", catalogue(), environment=environment, file=tmp_path / "target.toml")


SUPABASE = {
    "VITE_SUPABASE_URL": "https://x.supabase.co",
    "VITE_SUPABASE_ANON_KEY": "sb_publishable_123456789",
    "SUPABASE_SERVICE_KEY": "sb_secret_123456789",
}
R2 = {"R2_BUCKET_NAME": "files"}
PAIR = {"R2_ACCESS_KEY_ID": "k" * 32, "R2_SECRET_ACCESS_KEY": "s" * 64}


def test_r2_alone_needs_no_cloudflare_token_with_a_key_pair_and_an_endpoint(tmp_path):
    endpoint = {"R2_ENDPOINT": "https://abc.r2.cloudflarestorage.com"}
    assert real(tmp_path, {**SUPABASE, **R2, **PAIR, **endpoint}).get("R2_BUCKET_NAME") == "files"
    with pytest.raises(ConfigError, match="CLOUDFLARE_ACCOUNT_ID, CLOUDFLARE_API_TOKEN are missing"):
        real(tmp_path, {**SUPABASE, **R2, **PAIR})


def test_only_this_accounts_r2_is_permitted(tmp_path):
    account = {"CLOUDFLARE_ACCOUNT_ID": "abc", "CLOUDFLARE_API_TOKEN": "t" * 40}
    target = real(tmp_path, {**SUPABASE, **R2, **account})
    assert target.get("R2_ENDPOINT") == "https://abc.r2.cloudflarestorage.com"
    target.permit.contact("https://abc.r2.cloudflarestorage.com/files/x")
    for other in ("https://other.r2.cloudflarestorage.com", "http://abc.r2.cloudflarestorage.com"):
        with pytest.raises(PermitError):
            target.permit.contact(other)


@pytest.mark.parametrize(
    "names",
    [
        ("NEXT_PUBLIC_SUPABASE_URL", "NEXT_PUBLIC_SUPABASE_ANON_KEY", "SUPABASE_SERVICE_ROLE_KEY"),
        ("SUPABASE_URL", "NEXT_PUBLIC_SUPABASE_PUBLISHABLE_KEY", "SUPABASE_SECRET_KEY"),
        ("VITE_SUPABASE_URL", "VITE_SUPABASE_PUBLISHABLE_KEY", "SUPABASE_SERVICE_KEY"),
    ],
)
def test_a_web_projects_own_names_are_understood(tmp_path, names):
    theirs = dict(zip(names, SUPABASE.values(), strict=True))
    target = real(tmp_path, {**theirs, **R2, **PAIR, "R2_ENDPOINT": "https://r2.example"})
    assert {name: target.get(name) for name in SUPABASE} == SUPABASE


def test_what_supabase_status_prints_is_understood_as_a_whole_and_not_in_part(tmp_path):
    status = {
        "API_URL": "http://127.0.0.1:54321",
        "DB_URL": "postgresql://postgres:postgres@127.0.0.1:54322/postgres",
        "ANON_KEY": "anon-key-of-the-cli",
        "SERVICE_ROLE_KEY": "service-key-of-the-cli",
        "INBUCKET_URL": "http://127.0.0.1:54324",
    }
    more = {**R2, **PAIR, "R2_ENDPOINT": "https://r2.example"}
    target = real(tmp_path, {**status, **more})
    assert target.get("VITE_SUPABASE_URL") == status["API_URL"]
    assert target.get("SUPABASE_SERVICE_KEY") == status["SERVICE_ROLE_KEY"]
    assert target.get("SUPABASE_DB_URL") == status["DB_URL"]
    assert target.get("MAILBOX_URL") == status["INBUCKET_URL"]
    assert "service-key-of-the-cli" in [secret.reveal() for secret in target.secrets()]
    with pytest.raises(ConfigError, match="VITE_SUPABASE_URL"):
        real(tmp_path, {"API_URL": "https://somebody-else.example", **more})
