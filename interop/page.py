"""The samples of the vendor's page, cut out of it and filled. The page is not ours to keep."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT.parent / "shared" / "contract" / "show-background-task.zh.txt"


@dataclass(frozen=True)
class Cut:
    """A sample starts at its first line and ends with the last line that looks like `last`."""

    first: str
    last: str


CUTS = {
    "java": Cut("package com.huaweicloud.sdk.test;", "}"),
    "python": Cut("# coding: utf-8", "        print(e.error_msg)"),
    "go": Cut("package main", "}"),
}


class PageMissing(Exception):
    pass


def sample(language: str) -> str:
    """As printed. Raises PageMissing."""
    if not PAGE.exists():
        raise PageMissing(f"the page's text, {PAGE.name}, is not in ../shared/contract")
    lines = PAGE.read_text("utf-8").splitlines()
    cut = CUTS[language]
    start = lines.index(cut.first)
    end = lines.index(cut.last, start)
    return "\n".join(lines[start : end + 1]) + "\n"


def filled(text: str, values: dict[str, str]) -> str:
    """Each placeholder occurs once; nothing else is touched."""
    for placeholder, value in values.items():
        if text.count(placeholder) != 1:
            raise ValueError(f"{placeholder} occurs {text.count(placeholder)} times")
        text = text.replace(placeholder, value)
    return text


def with_import(text: str, package: str) -> str:
    """A Go program with one more import. The page's sample uses `os` without importing it."""
    return text.replace("import (\n", f'import (\n\t"{package}"\n', 1)
