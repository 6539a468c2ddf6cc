"""Templates compiled once, and kept as Python keeps its modules."""

import pytest

from backroom.console import rendering
from backroom.console.rendering import CompiledTemplates, local_form


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """Of a process that has just begun; what it keeps lies in `tmp_path`."""
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    kept = CompiledTemplates()
    kept.directory = str(tmp_path)
    return rendering._TEMPLATES.overlay(bytecode_cache=kept, cache_size=0)


def compiles(environment, monkeypatch):
    """How many templates had to be compiled for one."""
    count = 0
    plain = environment.compile

    def counted(*given, **named):
        nonlocal count
        count += 1
        return plain(*given, **named)

    monkeypatch.setattr(environment, "compile", counted)
    environment.get_template("failure.html")
    return count


def test_a_template_is_compiled_once_for_all_processes(environment, monkeypatch):
    assert compiles(environment, monkeypatch) == 1
    assert compiles(environment, monkeypatch) == 0


@pytest.mark.parametrize("rubbish", [b"", b"rubbish", b"j2\x05\x00"])
def test_one_that_is_no_good_is_made_anew(environment, monkeypatch, tmp_path, rubbish):
    compiles(environment, monkeypatch)
    (kept,) = tmp_path.iterdir()
    for damaged in (rubbish, kept.read_bytes()[:-20]):
        kept.write_bytes(damaged)
        assert compiles(environment, monkeypatch) == 1


def test_a_folder_that_takes_nothing_is_done_without(environment, monkeypatch, tmp_path):
    environment.bytecode_cache.directory = str(tmp_path / "nowhere")
    assert compiles(environment, monkeypatch) == 1
    assert compiles(environment, monkeypatch) == 1


def test_nothing_is_kept_where_python_keeps_nothing(environment, monkeypatch, tmp_path):
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    compiles(environment, monkeypatch)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-03-05T00:00:00.000Z", "2026-03-05T00:00"),
        ("2026-03-05T00:00:07.008Z", "2026-03-05T00:00:07"),
        ("2026-03-05T00:00", "2026-03-05T00:00"),
        ("tomorrow", "tomorrow"),
        ("", ""),
    ],
)
def test_a_moment_fits_its_field(text, shown):
    assert local_form(text) == shown
