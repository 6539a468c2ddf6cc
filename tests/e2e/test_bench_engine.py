"""The benchmark of the engine runs to its end, all its parts in tiny."""

from pathlib import Path

import pytest
import uvloop
from bench import engine
from bench.engine import PARTS, SMALL, measure, ratios, report
from bench.report import Ratio, figure, keep_section
from tests.support.postgres_server import MISSING, binaries

pytestmark = pytest.mark.filterwarnings("default")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_ratio_is_measured_when_all_parts_run(tmp_path: Path):
    if binaries() is None:
        pytest.skip(MISSING)
    bench = uvloop.run(measure(SMALL, 1, PARTS, tmp_path))
    made = ratios(bench.results)
    assert [ratio.what for ratio in made if ratio.value is None] == []
    assert "not measured" not in report(bench, made, 1.0)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_rows_of_postgresql_are_not_measured_when_there_is_none(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(engine, "binaries", lambda: None)
    bench = uvloop.run(measure(SMALL, 1, ("schedule",), tmp_path))
    (late,) = [one for one in ratios(bench.results) if one.what.startswith("scheduled start") and
               "SQLite" in one.what]  # fmt: skip
    assert late.value is not None
    assert MISSING in capsys.readouterr().err
    assert "**not measured**" in report(bench, ratios(bench.results), 1.0)


def test_a_ratio_is_kept_only_within_its_bound():
    assert Ratio("a", 1.0, most=1.0).is_kept
    assert not Ratio("a", 1.01, most=1.0).is_kept
    assert Ratio("a", 2.0, least=2.0).is_kept
    assert not Ratio("a", 1.99, least=2.0).is_kept
    assert not Ratio("a", None, most=1.0).is_kept


def test_a_section_is_replaced_alone_when_it_is_kept(tmp_path: Path):
    report = tmp_path / "benchmarks.md"
    report.write_text("# Benchmarks\n\n## One\n\nold\n\n## Two\n\nsecond\n")
    keep_section("## One\n\nnew\n", report)
    assert report.read_text() == "# Benchmarks\n\n## One\n\nnew\n\n## Two\n\nsecond\n"
    keep_section("## Two\n\nnewer\n", report)
    assert report.read_text() == "# Benchmarks\n\n## One\n\nnew\n\n## Two\n\nnewer\n"
    keep_section("## Three\n\nthird\n", report)
    assert report.read_text().endswith("## Two\n\nnewer\n\n## Three\n\nthird\n")


def test_a_figure_shows_three_digits_whatever_its_size():
    assert [figure(value) for value in (None, 0.0123, 1.234, 12.34, 1234.5)] == [
        "-", "0.012", "1.23", "12.34", "1,234",
    ]  # fmt: skip
