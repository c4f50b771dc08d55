"""Every configuration that a person writes: a wrong key and a wrong type are one sentence with file and line, before
any traffic; what has no file names itself."""

from argparse import Namespace

import pytest

from clients.services import catalogue
from core.errors import ConfigError
from core.plan import load_plan
from core.run import ROOT
from core.target import resolve
from loadengine.settings import LoadSettings
from loadprofiles.setup.variables import LoadVariables, refuse_wrong
from reports.judging.mutes import load_mutes
from reports.judging.overrides import Sources
from reports.judging.waivers import load_waivers
from runner.preparation import prepare

PROFILE = '[[profiles]]\nname = "{name}"\nusers = 1\nfor = "1m"\n'
PLAN = 'title = "own"\nbudget = "2m"\n'
WAIVER = '[[waiver]]\ncheck = "a"\nreason = "r"\nowner = "o"\nticket = "t"\nexpiry = 2027-01-31\n'
MUTE = '[[mute]]\nkey = "a"\nowner = "o"\nreason = "r"\nuntil = 2027-01-31\n'

FILES = {
    "the permit's key": (
        "target.toml",
        '[permit]\nacions = ["load"]\n',
        "line 2: permit.acions is not known; did you mean 'actions'?",
    ),
    "an action": (
        "target.toml",
        '[permit]\nactions = ["read", "lod"]\n',
        "line 2: permit.actions[1] should be 'read'",
    ),
    "an action's type": ("target.toml", "[permit]\nactions = [1]\n", "line 2: permit.actions[0] should be"),
    "an outage": (
        "target.toml",
        '[permit]\nactions = ["outage"]\n',
        "line 2: permit.actions: 'outage' is for the embedded target alone",
    ),
    "a setting": (
        "target.toml",
        "[settings]\ntypo = 3\n",
        "line 2: settings.typo is not known; known are adapter",
    ),
    "a setting's type": (
        "target.toml",
        '[settings]\nlogins_per_hour = "9"\n',
        'line 2: settings.logins_per_hour should be a whole number, not "9".',
    ),
    "a capability": (
        "target.toml",
        '[capabilities]\n"auth.emial" = "required"\n',
        ":2: 'auth.emial' is not a capability; did you mean 'auth.email'?",
    ),
    "a capability's word": (
        "target.toml",
        '[capabilities]\n"auth.email" = "yes"\n',
        'line 2: capabilities."auth.email" should be',
    ),
    "a variable's name": (
        "target.toml",
        '[env]\nPLATFORM_ULR = "X"\n',
        ":2: 'PLATFORM_ULR' is not one of Assay's variables; did you mean 'PLATFORM_URL'?",
    ),
    "a line of .env": ("target.toml", 'env_files = [".env"]\n', ".env:1: this line is no NAME=value"),
    "a plan's key": (
        "plans/own.toml",
        PLAN + "cheks = []\n",
        "line 3: cheks is not known; did you mean 'checks'?",
    ),
    "a plan's type": ("plans/own.toml", PLAN + 'checks = "al"\n', "line 3: checks should be 'all' or a list"),
    "a plan's check": (
        "plans/own.toml",
        PLAN + 'checks = [\n  "auth.second_facto",\n]\n',
        "line 4: there is no check 'auth.second_facto'; did you mean 'auth.second_factor'?",
    ),
    "a plan's capability": (
        "plans/own.toml",
        PLAN + 'checks = "all"\nmust_cover = ["auth.emial"]\n',
        "line 4: 'auth.emial' is no capability; did you mean 'auth.email'?",
    ),
    "a plan's load": (
        "plans/own.toml",
        PLAN + PROFILE.format(name="uptme"),
        "line 4: 'uptme' is no load profile; did you mean 'uptime'?",
    ),
    "a load's shape": (
        "plans/own.toml",
        PLAN + PROFILE.format(name="uptime") + 'shape = "rmap"\n',
        "line 7: 'rmap' is no shape; did you mean 'ramp'?",
    ),
    "a load's key": (
        "plans/own.toml",
        PLAN + PROFILE.format(name="uptime") + "user = 3\n",
        "line 7: profiles[0].user is not known; did you mean 'users'?",
    ),
    "a load's variable": (
        "plans/own.toml",
        PLAN + PROFILE.format(name="upload") + 'variables = { ASSAY_UPLOD_MB = "2" }\n',
        "line 7: ASSAY_UPLOD_MB is no variable of this load; did you mean 'ASSAY_UPLOAD_MB'?",
    ),
    "a variable's value": (
        "plans/own.toml",
        PLAN + PROFILE.format(name="upload") + 'variables = { ASSAY_UPLOAD_MB = "2,big" }\n',
        "line 7: ASSAY_UPLOAD_MB is '2,big', and each value should be a valid number",
    ),
    "a variable's type": (
        "plans/own.toml",
        PLAN + PROFILE.format(name="upload") + "variables = { ASSAY_UPLOAD_MB = 2 }\n",
        "line 7: profiles[0].variables.ASSAY_UPLOAD_MB should be text in quotes, not 2.",
    ),
    "an objective of a plan": (
        "plans/own.toml",
        PLAN + PROFILE.format(name="uptime") + '[[objectives]]\nid = "prod.uptme"\n',
        "line 8: objective 'prod.uptme' is not in objectives.toml; did you mean 'prod.uptime'?",
    ),
    "an objective's key": (
        "objectives.toml",
        "[perf.rooms]\nlimt = 5\n",
        "line 2: perf.rooms.limt is not known; did you mean 'limit'?",
    ),
    "an objective's type": (
        "objectives.toml",
        '[perf.rooms]\nlimit = "5"\n',
        'line 2: perf.rooms.limit should be a number, not "5".',
    ),
    "a waiver's key": ("waivers.toml", "[[waivr]]\n", "line 1: waivr is not known; did you mean 'waiver'?"),
    "a waiver's type": (
        "waivers.toml",
        WAIVER.replace('"a"', "1"),
        "line 2: waiver[0].check should be text in quotes, not 1.",
    ),
    "a mute's key": (
        "alerts.toml",
        MUTE + 'untl = "x"\n',
        "line 6: mute[0].untl is not known; did you mean 'until'?",
    ),
    "a mute's type": (
        "alerts.toml",
        MUTE.replace("2027-01-31", "3"),
        "line 5: mute[0].until should be a date like 2027-01-31, not 3.",
    ),
    "a requirement's type": (
        "requirements.toml",
        '[Ours]\n"OURS-1" = 1\n',
        "line 2: Ours.OURS-1 should be text in quotes, not 1.",
    ),
}


def read(folder, path):
    """As the commands do."""
    if path == "target.toml":
        resolve("live", catalogue(), environment={}, file=folder / path)
    prepare("own")


@pytest.mark.parametrize("name", FILES)
def test_what_is_wrong_in_a_file_is_one_sentence_with_its_line(tmp_path, monkeypatch, name):
    path, text, says = FILES[name]
    (tmp_path / "target.toml").write_text("")
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans" / "own.toml").write_text(PLAN + 'checks = "all"\n')
    (tmp_path / ".env").write_text("no variable\n" if name == "a line of .env" else "")
    (tmp_path / path).write_text(text)
    monkeypatch.setenv("ASSAY_PROJECT", str(tmp_path))
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, path)
    assert says in str(caught.value)
    assert path.rpartition("/")[2] in str(caught.value) or name == "a line of .env"
    assert "\n" not in str(caught.value)


def test_the_shipped_files_are_right():
    sources = Sources()
    load_waivers(sources.waivers)
    load_mutes(sources.alerts)
    for path in (ROOT / "plans").glob("*.toml"):
        for profile in load_plan(path.stem, path.parent, sources.objectives()).profiles:
            refuse_wrong(profile.variables)


@pytest.mark.parametrize(
    ("given", "handed", "says"),
    [
        ({}, {"ratee": "3"}, "there is no load setting 'ratee'; did you mean 'rate'?"),
        ({"assay_rate": "fast"}, {}, "--assay-rate 'fast': should be a valid number"),
        ({"assay_rate": "-1"}, {}, "--assay-rate '-1': should be greater than or equal to 0"),
        ({"assay_rate": "nan"}, {}, "--assay-rate 'nan': should be a finite number"),
        ({"assay_drain": "soon"}, {}, "--assay-drain 'soon': 'soon' is not a duration"),
        ({"assay_progress": "perhaps"}, {}, "--assay-progress 'perhaps': should be a valid boolean"),
        ({"assay_stop_errors": "50"}, {}, "--assay-stop-errors '50': should be less than or equal to 1"),
        ({}, {"warm_up": "x"}, "--assay-warm-up 'x': 'x' is not a duration"),
    ],
)
def test_what_is_wrong_in_the_load_generators_settings_is_one_sentence(given, handed, says):
    with pytest.raises(ConfigError) as caught:
        LoadSettings.of(Namespace(**given), handed)
    assert str(caught.value).startswith(says)


def test_options_win_over_what_the_run_hands_down():
    options = Namespace(assay_drain="20", assay_warm_up="1m30s", assay_rate="", assay_progress="off")
    found = LoadSettings.of(options, {"drain": "5", "rate": "3", "shape": "", "stop_errors": "0"})
    assert (found.drain, found.warm_up, found.rate, found.shape, found.stop_errors, found.progress) == (
        20.0, 90.0, 3.0, "steady", 0.0, False,
    )  # fmt: skip


def test_what_a_user_sets_of_a_load_is_read_before_it():
    assert LoadVariables.of({"ASSAY_UPLOAD_MB": "0.2,6"}).upload_mb == (0.2, 6.0)
    assert LoadVariables.of({}).rooms_storm == 60.0
    for name, value in {"ASSAY_UPLOAD_MB": "0", "ASSAY_ROOMS_STORM": "never"}.items():
        with pytest.raises(ConfigError, match=f"{name} is '{value}'"):
            LoadVariables.of({name: value})
    refuse_wrong({"OURS": "anything"}, own=True)
    with pytest.raises(ConfigError, match="OURS is no variable of this load; known are"):
        refuse_wrong({"OURS": "anything"})
