"""`./run interop`: the official clients against a real server, and what came of it.

Every client that has a toolchain here builds and runs; what it printed is compared with what the
server stored. The outcome goes to interop/coverage.json and docs/coverage.md; with --check
nothing is written. Exit code 1: something failed, or a call that ran before doesn't any more.
"""

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from interop import calls, coverage, page, terraform
from interop.programs import LANGUAGES, ROOT, Language, Unavailable
from interop.servers import Server, serving

TERRAFORM = "terraform"  # takes eight minutes of the provider's own delays, and a provider built by hand: only if named
EXTENDED_GB = 600
MORE_TASKS = 12  # so that a list has more than one page


def outcome(
    language: Language, server: Server, plain: Server, extension: str, odd: Mapping[str, str]
) -> coverage.Row:
    try:
        texts = calls.samples(language, server, extension)
        unread = ""
    except page.PageMissing as problem:
        texts, unread = {}, f"{coverage.AWAY}{problem}"
    progress("  building ...")
    try:
        versions = language.prepare(texts)
    except Unavailable as problem:
        return coverage.Row(away=str(problem))
    run = calls.Round(language, server, plain, extension, odd)
    if texts:
        progress("  the page's samples ...")
        calls.run_samples(run, extension)
    elif unread:
        run.cells.update({f"page: {name}": unread for name in coverage.GROUPS["page"]})
    progress("  examples ...")
    calls.run_examples(run, extension)
    progress("  call by call ...")
    calls.run_calls(run)
    return coverage.Row(versions=versions, cells=run.cells, notes=language.notes)


def tell(name: str, row: coverage.Row, took_s: float) -> None:
    print(f"{coverage.TITLES[name]}: {took_s:.0f} s", flush=True)
    if row.away:
        print(f"  could not be tried here: {row.away}", flush=True)
    for part, version in row.versions.items():
        print(f"  {part} {version}")
    for cell, text in row.cells.items():
        print(f"  {cell:28} {text}", flush=True)


def run(names: Sequence[str], folder: Path) -> dict[str, coverage.Row]:
    rows = {}
    languages = [language for language in LANGUAGES if language.name in names]
    if languages:
        rows = run_languages(languages, folder)
    if TERRAFORM in names:
        with timed(TERRAFORM, rows):
            rows[TERRAFORM] = terraform.outcome(folder)
    return rows


def run_languages(languages: Sequence[Language], folder: Path) -> dict[str, coverage.Row]:
    rows: dict[str, coverage.Row] = {}
    progress("servers on loopback, with tasks to look at ...")
    with serving(folder / "tls") as server, serving(folder / "plain", "--http") as plain:
        extension = server.extended(EXTENDED_GB)
        server.bind_often(MORE_TASKS)
        odd = plain.name_instances([text for text in calls.ODD if text])
        for language in languages:
            with timed(language.name, rows):
                rows[language.name] = outcome(language, server, plain, extension, odd)
    return rows


@contextlib.contextmanager
def timed(name: str, rows: Mapping[str, coverage.Row]) -> Iterator[None]:
    progress(f"{coverage.TITLES[name]} ...")
    began = time.monotonic()
    yield
    tell(name, rows[name], time.monotonic() - began)


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    usual = [language.name for language in LANGUAGES]
    known = [*usual, TERRAFORM]
    parser = argparse.ArgumentParser(
        prog="./run interop", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "client", nargs="*", help=f"{', '.join(known)}; the languages if none is named"
    )
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.client if name not in known]
    if unknown:
        parser.error(f"no such client: {', '.join(unknown)}")
    chosen = arguments.client or usual
    with tempfile.TemporaryDirectory() as folder:
        now = run(chosen, Path(folder))
    before = coverage.read()
    wrong = coverage.worse(before, now)
    for line in wrong:
        print(f"worse or failed: {line.splitlines()[0]}", file=sys.stderr)
    if not arguments.check and not wrong:
        coverage.write(before, now)
        subprocess.run([sys.executable, "docs/generate.py"], cwd=ROOT, check=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
