"""Ratios with their bounds, and the sections of docs/benchmarks.md."""

import argparse
import re
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

REPORT = Path(__file__).parent.parent / "docs" / "benchmarks.md"


@dataclass(frozen=True)
class Ratio:
    """`value` is None where it could not be measured, which is never kept."""

    what: str
    value: float | None
    most: float | None = None
    least: float | None = None

    @property
    def is_kept(self) -> bool:
        if self.value is None:
            return False
        is_low = self.most is None or self.value <= self.most
        return is_low and (self.least is None or self.value >= self.least)

    @property
    def bound(self) -> str:
        return f"at most {self.most}" if self.least is None else f"at least {self.least}"

    @property
    def verdict(self) -> str:
        if self.value is None:
            return "**not measured**"
        return "kept" if self.is_kept else "**missed**"


@dataclass
class Results:
    """`figures[what, subject]` has one figure a round."""

    figures: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, what: str, subject: str, value: float) -> None:
        self.figures[what, subject].append(value)
        say(f"  {subject}: {what} {figure(value)}")

    def median(self, what: str, subject: str) -> float | None:
        rounds = self.figures.get((what, subject))
        return statistics.median(rounds) if rounds else None

    def spread(self, what: str, subject: str) -> str:
        rounds = self.figures[what, subject]
        return f"{figure(min(rounds))} to {figure(max(rounds))}"

    def ratio(self, what: str, subject: str, other: str) -> float | None:
        return over(self.median(what, subject), self.median(what, other))


def over(mine: float | None, theirs: float | None) -> float | None:
    return None if mine is None or theirs is None else mine / theirs


def ratio_table(ratios: Iterable[Ratio]) -> list[str]:
    return [
        "| ratio | measured | bound | |",
        "|---|---|---|---|",
        *(
            f"| {ratio.what} | {figure(ratio.value)} | {ratio.bound} | {ratio.verdict} |"
            for ratio in ratios
        ),
    ]


def figure(value: float | None) -> str:
    """Three significant digits, and no more than two places."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3f}" if abs(value) < 0.1 else f"{value:.2f}"


def keep_section(section: str, report: Path = REPORT) -> None:
    """Put it in the place of the section with the same heading, or at the end."""
    heading = section.partition("\n")[0]
    text = report.read_text("utf-8")
    pattern = re.compile(rf"^{re.escape(heading)}$.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    body = section.rstrip() + "\n"
    if pattern.search(text):
        is_last = pattern.search(text).end() == len(text)  # type: ignore[union-attr]
        text = pattern.sub(lambda _: body if is_last else body + "\n", text, count=1)
    else:
        text = text.rstrip() + "\n\n" + body
    report.write_text(text, "utf-8")


def parser(name: str, about: str | None) -> argparse.ArgumentParser:
    """What every benchmark takes; each adds its own options."""
    made = argparse.ArgumentParser(prog=f"./run bench {name}", description=about)
    made.add_argument("--keep", action="store_true", help="write its section of docs/benchmarks.md")
    return made


def say(text: str) -> None:
    """How far it is, for people: the report alone goes to standard output."""
    print(text, file=sys.stderr, flush=True)
