"""A wrangler configuration in each of its three forms."""

import pytest

from core.errors import ConfigError
from runner.wrangler import variables

TOML = """
account_id = "abc"
[[r2_buckets]]
binding = "FILES"
bucket_name = "uploads"
[[kv_namespaces]]
binding = "CACHE"
id = "0f"
"""
JSONC = """{
  // "account_id": "another",
  "account_id": "abc", /* ours */
  "r2_buckets": [{ "binding": "FILES", "bucket_name": "uploads", }, // the only one
  ],
  "kv_namespaces": [{ "binding": "CACHE", "id": "0f" }], // "//" in a text stays
  "vars": { "SITE": "https://todos.example" },
}
"""


@pytest.mark.parametrize(("name", "text"), [("wrangler.toml", TOML), ("wrangler.jsonc", JSONC)])
def test_what_it_names_is_found(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert variables(tmp_path) == {
        "CLOUDFLARE_ACCOUNT_ID": "abc",
        "R2_BUCKET_NAME": "uploads",
        "KV_NAMESPACE_ID": "0f",
    }


def test_without_one_or_with_little_in_it_there_is_nothing(tmp_path):
    assert variables(tmp_path) == {}
    (tmp_path / "wrangler.json").write_text('{"name": "todos", "r2_buckets": []}')
    assert variables(tmp_path) == {}


def test_one_that_cannot_be_read_is_one_sentence(tmp_path):
    (tmp_path / "wrangler.json").write_text("{")
    with pytest.raises(ConfigError, match="cannot be read"):
        variables(tmp_path)
