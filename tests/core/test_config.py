"""What is wrong in a configuration file is one sentence with file, line, key and the nearest known key."""

import datetime as dt
import re
from typing import Literal

import pytest
from pydantic import Field, field_validator

from core.config import StrictModel, load_toml, read_toml
from core.errors import ConfigError
from core.permit import Action


class Load(StrictModel):
    name: str
    users: int = Field(ge=1)
    lasts: str = Field(alias="for", default="30s")
    rate: float = 0.0


class Own(StrictModel):
    title: str
    checks: Literal["all", "none"] | tuple[str, ...] = ()
    loads: tuple[Load, ...] = ()
    may: dict[str, str] = Field(default_factory=dict)
    actions: frozenset[Action] = frozenset()
    until: dt.date | None = None

    @field_validator("title")
    @classmethod
    def _not_blank(cls, title: str) -> str:
        if not title.strip():
            raise ValueError("a title is for people; write one.")
        return title


def written(tmp_path, text):
    path = tmp_path / "own.toml"
    path.write_text(text)
    return path


def test_a_right_file(tmp_path):
    own = load_toml(
        written(
            tmp_path,
            'title = "t"\nchecks = ["a.b"]\nuntil = 2027-01-31\nactions = ["load"]\n'
            '[may]\n"x.y" = "CR"\n[[loads]]\nname = "l"\nusers = 2\nfor = "1m"\nrate = 3\n',
        ),
        Own,
    )
    assert own.checks == ("a.b",)
    assert own.until == dt.date(2027, 1, 31)
    assert own.actions == {Action.LOAD}
    assert own.loads[0].lasts == "1m"
    assert own.loads[0].rate == 3.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('title = "t"\nchekcs = "all"', "line 2: chekcs is not known; did you mean 'checks'?"),
        ('title = "t"\nzz = 1', "line 2: zz is not known; known are actions, checks, loads, may, title, until."),
        ('titel = "t"', "line 1: titel is not known; did you mean 'title'?"),
        ("", "line 1: title is missing; add it."),
        ('title = "  "', "line 1: title: a title is for people; write one."),
        ("title = 3", "line 1: title should be text in quotes, not 3."),
        (
            'title = "t"\n[[loads]]\nname = "a"\nusers = 1\n\n[[loads]]\nname = "b"\nusers = "2"',
            'line 8: loads[1].users should be a whole number, not "2".',
        ),
        (
            'title = "t"\nloads = [\n  { name = "a", users = 1 },\n  { name = "b", user = 1 },\n]',
            "line 4: loads[1].user is not known; did you mean 'users'?",
        ),
        ('title = "t"\n[[loads]]\nname = "a"\nusers = true', "line 4: loads[0].users should be a whole number, not true."),
        ('title = "t"\n[[loads]]\nname = "a"\nusers = 0', "line 4: loads[0].users should be greater than or equal to 1"),
        ('title = "t"\n[[loads]]\nname = "a"', "line 2: loads[0].users is missing; add it."),
        ('title = "t"\nactions = ["lod"]', "line 2: actions[0] should be 'read', 'write'"),
        ('title = "t"\nactions = ["lod"]', "not \"lod\". Did you mean 'load'?"),
        ('title = "t"\nchecks = "al"', "line 2: checks should be 'all' or 'none' or a list"),
        ('title = "t"\nchecks = [1]', "line 2: checks[0] should be text in quotes, not 1."),
        ('title = "t"\n[may]\n"x.y" = 1', 'line 3: may."x.y" should be text in quotes, not 1.'),
        ('title = "t"\nuntil = "soon"', 'line 2: until should be'),
        ('title = "t"\nmay = 1', "line 2: may should be a table, not 1."),
        ('title = "t"\n[title]\n', "line 2: not TOML: "),
        ('title = """t', "not TOML: "),
        ("title = \ud800".encode("utf-16", "surrogatepass").decode("latin-1"), "not TOML"),
    ],
)  # fmt: skip
def test_one_sentence(tmp_path, text, said):
    path = written(tmp_path, text)
    with pytest.raises(ConfigError, match=re.escape(said)) as caught:
        load_toml(path, Own)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_what_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml does not exist"):
        load_toml(tmp_path / "none.toml", Own)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_toml(tmp_path, Own)
    (tmp_path / "bytes.toml").write_bytes(b'title = "\xff"')
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        load_toml(tmp_path / "bytes.toml", Own)
    (tmp_path / "deep.toml").write_text(f"title = {'[' * 5000}{']' * 5000}")
    with pytest.raises(ConfigError, match=r"deep\.toml"):
        load_toml(tmp_path / "deep.toml", Own)


def test_a_part_of_a_document_keeps_its_lines(tmp_path):
    document = read_toml(written(tmp_path, '[a."b.c"]\nname = "x"\nusers = 1\nuser = 2\n'))
    with pytest.raises(
        ConfigError, match=re.escape("line 4: a.\"b.c\".user is not known; did you mean 'users'?")
    ):
        document.model(Load, document.data["a"]["b.c"], at=("a", "b.c"))
    assert document.line("a", "b.c", "nothing", "here") == 1
    assert "line 3: too many" in str(document.wrong(("a", "b.c", "users"), "too many"))


def test_what_is_loaded_cannot_be_changed(tmp_path):
    own = load_toml(written(tmp_path, 'title = "t"'), Own)
    with pytest.raises(ValueError, match="frozen"):
        own.title = "u"
