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
        (TOML + "[colour]\nred = 1\n", "'colour' is not known"),
        (TOML + '[permit]\nactions = ["fly"]\n', "'fly'"),
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
