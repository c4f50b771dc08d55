"""A description is whole or it is one sentence with file and line, before any traffic."""

import re

import pytest

from core.description import fill, fill_path, parse_description, pick, read_description
from core.errors import ConfigError
from core.project import REFERENCE, Project, find_project, read_env
from core.secret import Redactor
from core.service import Service, Variable
from core.target import resolve

MAY = 'may = { owner = "CRUD", stranger = "", nobody = "" }\n'
FILES = "[platform.files.x]\n"
UPLOAD = 'upload = { path = "/u", key = "key" }\n'


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("colour = 1", 1, "colour is not known"),
        ('name = ""\nfolder = "/"', 2, "folder is not known"),
        ('name = "a"\n[platform]\nwhoam = { path = "/x" }', 3, "did you mean 'whoami'?"),
        ('[platform]\nwhoami = { path = "x" }', 2, "begin it with a slash"),
        ('[people]\nregister = "yes"', 2, "should be true or false"),
        ('[people]\nundo = [{ r2 = "x/" }]', 2, "remove what belongs to others"),
        ('[people]\nundo = [{ table = "x" }]', 2, "a table goes with a column"),
        ('[database.tables.t]\nrow = { a = "{nope}" }\n' + MAY, 2, "uses {nope}"),
        ("[database.tables.t]\nrow = {}", 1, "database.tables.t.may is missing"),
        ('[database.tables.t]\nmay = { owner = "", stranger = "" }', 2, "says nothing of nobody"),
        ("[database.tables.t]\ndecide = true\n" + MAY, 2, "decide is true"),
        ("[database.tables.t]\n" + MAY.replace("CRUD", "CX"), 2, "'X'"),
        ("[database.tables.t]\n" + MAY.replace("nobody", "friend"), 2, "says nothing of nobody"),
        ('[database]\nignore = ["t"]\n[database.tables.t]\n' + MAY, 2, "described and ignored"),
        ('[database.functions]\nanon = ["f"]\nclosed = ["f"]', 3, "closed and open"),
        (FILES + UPLOAD + 'store = "s3"', 3, "'s3' is no store"),
        (FILES + UPLOAD + 'store = [{ store = "r2" }, { above = 1, store = "r2" }]', 3, "after the one"),
        (
            FILES + UPLOAD + 'largest = 5\nstore = [{ above = 9, store = "r2" }, { store = "r2" }]',
            4,
            "never hold",
        ),
        (FILES + UPLOAD + 'store = [{ above = 9, store = "r2" }]', 3, "smaller files"),
        (FILES + 'upload = { path = "/u" }\nstore = "r2"', 3, "cannot be witnessed"),
        (FILES + UPLOAD + 'largest = "5 cubits"', 3, "is no size"),
        (FILES + 'upload = { path = "/u/{file}" }', 2, "uses {file}"),
        ('[storage.buckets.b]\nkey = "a"\n' + MAY, 2, "without {tag}"),
        ('[storage.buckets.b]\nkey = "{tag}"\n' + MAY.replace("CRUD", "R"), 1, 'as = "admin"'),
        (
            '[[load.http]]\nname = "a"\nget = "{platform}/"\n[[load.http]]\nname = "b"\n',
            4,
            "write one address",
        ),
        ('[[load.http]]\nname = "a"\nget = "https://elsewhere.example/"', 1, "begins with {platform}/"),
    ],
)
def test_what_is_wrong_is_one_sentence_with_its_line(text, line, says):
    with pytest.raises(ConfigError) as caught:
        parse_description(text)
    said = str(caught.value)
    assert says in said
    assert re.match(rf"target\.toml line {line}: ", said), said
    assert "\n" not in said


def test_the_reference_describes_itself():
    description = read_description(REFERENCE / "target.toml")
    assert description.has("platform.whoami")
    assert not description.has("platform.whoami.nothing")
    file = description.files("file")
    assert file.store_of(5 * 1024 * 1024) == "storage:files"
    assert file.store_of(5 * 1024 * 1024 + 1) == "r2"
    assert description.where("database.tables.posts.may").startswith(str(REFERENCE / "target.toml:"))
    assert set(description.database.cases("posts")) == {"posts", "published posts"}


def test_one_file_extends_another(tmp_path):
    (tmp_path / "target.toml").write_text('name = "a"\n[people]\nregister = false\ncaptcha = true\n')
    (tmp_path / "target.staging.toml").write_text('extends = "target.toml"\n[people]\ncaptcha = false\n')
    found = read_description(tmp_path / "target.staging.toml")
    assert (found.name, found.people.register_, found.people.captcha) == ("a", False, False)
    assert found.where("people.register").endswith("target.toml:3")
    (tmp_path / "target.toml").write_text('extends = "target.staging.toml"\n')
    with pytest.raises(ConfigError, match="extends itself"):
        read_description(tmp_path / "target.staging.toml")


def test_a_project_is_found_where_it_is_named_then_beside_the_caller(tmp_path):
    assert find_project(environment={}, beside=tmp_path).is_reference
    (tmp_path / "assay").mkdir()
    (tmp_path / "assay" / "target.toml").write_text("")
    assert find_project(environment={}, beside=tmp_path) == Project((tmp_path / "assay").resolve())
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "target.toml").write_text("")
    named = {"ASSAY_PROJECT": str(tmp_path / "other")}
    assert find_project(environment=named, beside=tmp_path).folder.name == "other"
    assert find_project("assay", environment=named, beside=tmp_path).folder.name == "assay"
    with pytest.raises(ConfigError, match="is no folder"):
        find_project("nowhere", environment={}, beside=tmp_path)


def test_templates_are_filled_and_answers_picked_apart():
    values = {"id": "a/b", "size": 7, "team.id": "t"}
    assert fill({"x": ["{size}", "n{size}", "{team.id}"]}, values) == {"x": [7, "n7", "t"]}
    assert fill_path("/f/{id}", values) == "/f/a%2Fb"
    assert pick({"a": [{"b": 1}]}, "a.0.b") == 1
    assert pick({"a": []}, "a.0.b", None) is None


SUPABASE = Service(
    "supabase.auth",
    "Supabase Auth",
    (Variable("SUPABASE_SERVICE_KEY", secret=True), Variable("VITE_SUPABASE_URL", url=True)),
    {"auth.email": "x"},
)


def test_env_files_and_their_names_are_read_and_masked(tmp_path):
    (tmp_path / "target.toml").write_text(
        'env_files = [".env"]\n[env]\nSUPABASE_SERVICE_KEY = "THEIR_KEY"\n[capabilities]\n"auth.email" = "required"\n'
    )
    (tmp_path / ".env").write_text(
        "# keys\nexport THEIR_KEY='sekrit-value-1'\nVITE_SUPABASE_URL=https://x.example # theirs\nOTHER=hidden-word\n"
    )
    target = resolve("live", [SUPABASE], environment={}, file=tmp_path / "target.toml")
    assert target.secret("SUPABASE_SERVICE_KEY").reveal() == "sekrit-value-1"
    assert (
        Redactor(target.secrets()).text("sekrit-value-1 hidden-word https://x.example")
        == "*** *** https://x.example"
    )
    winner = resolve(
        "live", [SUPABASE], environment={"THEIR_KEY": "from-process"}, file=tmp_path / "target.toml"
    )
    assert winner.secret("SUPABASE_SERVICE_KEY").reveal() == "from-process"
    (tmp_path / ".env").write_text("not a variable: sekrit\n")
    with pytest.raises(ConfigError) as caught:
        read_env(tmp_path / ".env")
    assert ".env:1" in str(caught.value)
    assert "sekrit" not in str(caught.value)


def test_another_target_of_the_project_is_named_by_its_file(tmp_path):
    (tmp_path / "target.toml").write_text("")
    (tmp_path / "target.staging.toml").write_text('name = "staging"\n')
    target = resolve("staging", [SUPABASE], environment={}, project=Project(tmp_path))
    assert (target.kind, target.name) == ("live", "staging")
    with pytest.raises(ConfigError, match="staging"):
        resolve("production", [SUPABASE], environment={}, project=Project(tmp_path))


def test_what_auth_is_set_to_says_what_is_not_applicable():
    its = parse_description(
        '[people]\ncaptcha = true\nconfirm = "none"\nregister = false\nrotation = false\n'
    )
    for key in ("people.form", "people.confirmed_by_mail", "people.register", "people.rotation"):
        assert not its.has(key), key
    assert parse_description("").has("people.form")
    with pytest.raises(ConfigError, match="captcha or confirm says otherwise"):
        parse_description("[people]\ncaptcha = true\nform = true\n")
