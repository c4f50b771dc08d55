"""What files of tests cost: kept from run to run, and the longest start first."""

from tests import spent


def test_the_longest_start_first_and_unmeasured_ones_by_their_tests():
    tests = {"a": 1, "b": 100, "c": 2, "d": 3}
    assert spent.longest_first(tests, {"c": (30.0, 1.0), "d": (0.1, 9.0)}) == ["c", "b", "a", "d"]


def test_a_table_is_read_back_as_it_was_written(tmp_path):
    table = {"tests/a.py": (1.5, 0.5), "tests/b.py": (20.0, 3.0)}
    spent.write(tmp_path / "new" / "spent.json", table)
    assert spent.read(tmp_path / "new" / "spent.json") == table
    assert spent.read(tmp_path / "none.json") == {}
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["spent.json"]
