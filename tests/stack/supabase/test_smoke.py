"""The thin slice: sign up, write, read, store, through the official client."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from postgrest.exceptions import APIError
from supabase import Client


def test_a_person_writes_and_reads_a_book(person: Callable[..., Client], anon: Client) -> None:
    ada = person("ada")
    made = ada.table("books").insert({"author_id": ada.user_id, "title": f"notes of {ada.user_id}", "status": "published"}).execute()
    row = anon.table("books").select("title, author:authors!books_author_id_fkey(name)").eq("id", made.data[0]["id"]).single().execute()
    assert row.data == {"title": f"notes of {ada.user_id}", "author": {"name": "ada"}}
    with pytest.raises(APIError) as refused:
        anon.table("books").insert({"author_id": ada.user_id, "title": "forged"}).execute()
    assert refused.value.code == "42501"


def test_a_person_stores_a_file(person: Callable[..., Client], anon: Client) -> None:
    ada, eve = person("ada"), person("eve")
    path = f"{ada.user_id}/a.txt"
    ada.storage.from_("shelf").upload(path, b"hello", {"content-type": "text/plain"})
    assert ada.storage.from_("shelf").download(path) == b"hello"
    assert [f["name"] for f in ada.storage.from_("shelf").list(ada.user_id)] == ["a.txt"]
    assert eve.storage.from_("shelf").list(ada.user_id) == []
    assert eve.storage.from_("shelf").remove([path]) == []
    assert len(ada.storage.from_("shelf").remove([path])) == 1
