"""What ./run docs adds to MkDocs: a navigation of the folders, and diagrams without the network.

Diagrams are drawn in the reader's browser by mermaid, which is taken from npm at build time; where
npm isn't there, the site is made without, and shows their text.
"""

import hashlib
import io
import logging
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MERMAID = "mermaid@12.3.0"
MERMAID_SHA512 = (
    "e35d774dd5de2c0b0caee27bf4ea452f93bcf8b4c55e142a676eb4ac5ded8149"
    "a2340b519b852e99ed3823eeb93d137ac99ebd2787fcad56165bccd193ae5463"
)
SCRIPT = "assets/mermaid.min.js"
FOLDERS = {
    "quick-start": "Quick start",
    "howto": "How to",
    "wire": "On the wire",
    "reference": "Reference",
    "adr": "Decisions",
}
ABOUT = ("architecture.md", "glossary.md", "benchmarks.md", "coverage.md", "limits.md")
CHINESE = ".zh-CN.md"

_log = logging.getLogger("mkdocs.hooks.site")


def on_config(config: Any) -> Any:
    config.nav = navigation(Path(config.docs_dir))
    if _mermaid() is not None:
        config.extra_javascript.append(SCRIPT)
    return config


def on_post_build(config: Any) -> None:
    script = _mermaid()
    if script is not None:
        target = Path(config.site_dir) / SCRIPT
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(script, target)


def navigation(docs: Path) -> list[Any]:
    """Every page once: those of a folder under its name, Chinese ones together."""
    pages = [page.relative_to(docs) for page in sorted(docs.rglob("*.md"))]
    chinese = [page for page in pages if page.name.endswith(CHINESE)]
    english = [page for page in pages if page not in chinese]
    nav: list[Any] = [str(page) for page in english if page == Path("index.md")]
    for folder, title in FOLDERS.items():
        below = [_entry(docs, page) for page in english if page.parent == Path(folder)]
        for inner, found in _deeper(english, folder):
            below.append({inner: [_entry(docs, page) for page in found]})
        if below:
            nav.append({title: below})
    nav.append({"About": [name for name in ABOUT if Path(name) in english]})
    nav.append({"中文": [_entry(docs, page) for page in chinese]})
    return nav


def _entry(docs: Path, page: Path) -> dict[str, Any]:
    """Generated pages begin with a comment, so that MkDocs finds no title by itself."""
    return {_title(docs / page): str(page)}


def _deeper(pages: list[Path], folder: str) -> Iterator[tuple[str, list[Path]]]:
    """The folders within this one, each under its name, its index first."""
    inner = [page for page in pages if page.parts[0] == folder and len(page.parts) > 2]  # noqa: PLR2004
    for name in sorted({page.parts[1] for page in inner}):
        found = [page for page in inner if page.parts[1] == name]
        yield name.capitalize(), sorted(found, key=lambda page: (page.name != "index.md", page))


def _title(page: Path) -> str:
    found = re.search(r"^# (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return found[1] if found else page.stem


def _mermaid() -> Path | None:
    """The script, fetched once into build/npm; None where npm can't bring it."""
    folder = ROOT / "build" / "npm"
    script = folder / "mermaid.min.js"
    if script.exists():
        return script
    folder.mkdir(parents=True, exist_ok=True)
    npm = shutil.which("npm")
    packed = None if npm is None else _packed(npm, folder)
    if packed is None:
        _log.info("npm brings no %s: diagrams are shown as text", MERMAID)
        return None
    content = packed.read_bytes()
    if hashlib.sha512(content).hexdigest() != MERMAID_SHA512:
        raise SystemExit(f"{packed} is not the {MERMAID} that was looked at")
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        member = archive.extractfile("package/dist/mermaid.min.js")
        if member is None:
            raise SystemExit(f"{packed} has no dist/mermaid.min.js")
        script.write_bytes(member.read())
    packed.unlink()
    return script


def _packed(npm: str, folder: Path) -> Path | None:
    command = [npm, "pack", "--silent", "--pack-destination", str(folder), MERMAID]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return folder / done.stdout.strip() if done.returncode == 0 else None
