"""The thin slice: sign in, write, read, store, through the official client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from postgrest.exceptions import APIError

from tests.stack.supabase.conftest import Person


def test_a_person_writes_and_reads_a_book(person: Callable[..., Person], anon: Any) -> None:
    ada = person("ada")
    book = {"author_id": ada.id, "title": f"notes of {ada.id}", "status": "published"}
    made = ada.client.table("books").insert(book).execute()
    wanted = (
        anon.table("books")
        .select("title, author:authors!books_author_id_fkey(name)")
        .eq("id", made.data[0]["id"])
    )
    assert wanted.single().execute().data == {"title": f"notes of {ada.id}", "author": {"name": "ada"}}
    with pytest.raises(APIError) as refused:
        anon.table("books").insert({"author_id": ada.id, "title": "forged"}).execute()
    assert refused.value.code == "42501"


def test_a_person_stores_a_file(person: Callable[..., Person]) -> None:
    ada, eve = person("ada"), person("eve")
    path = f"{ada.id}/a.txt"
    ada.client.storage.from_("shelf").upload(path, b"hello", {"content-type": "text/plain"})
    assert ada.client.storage.from_("shelf").download(path) == b"hello"
    assert [f["name"] for f in ada.client.storage.from_("shelf").list(ada.id)] == ["a.txt"]
    assert eve.client.storage.from_("shelf").list(ada.id) == []
    assert eve.client.storage.from_("shelf").remove([path]) == []
    assert len(ada.client.storage.from_("shelf").remove([path])) == 1
