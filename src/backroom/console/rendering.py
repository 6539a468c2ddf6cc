"""Pages from templates: one environment, everything escaped, both languages."""

import hashlib
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib.resources import files
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any, Final

import msgspec
from jinja2 import (
    Environment,
    FileSystemBytecodeCache,
    PackageLoader,
    StrictUndefined,
    select_autoescape,
)
from jinja2.bccache import Bucket
from markupsafe import Markup
from starlette.responses import HTMLResponse

from backroom.console.texts import LANGUAGES, TEXTS
from backroom.domain.stamps import stamp

STATIC: Final = "/console/static"
ASSETS: Final = ("console.css", "console.js", "htmx.min.js", "icon.svg")
MINUTE_S: Final = 60
HOUR_S: Final = 3_600
DAY_S: Final = 86_400
SHOWN_SHORT: Final = 8  # characters of an id in a table


class CompiledTemplates(FileSystemBytecodeCache):
    """What Python makes of templates, beside what it makes of modules, and as it: or not at all.

    Compiling them took the first page after a start twice as long.
    """

    def __init__(self) -> None:
        super().__init__(str(Path(cache_from_source(__file__)).parent), "%s.template")

    def get_source_checksum(self, source: str) -> str:
        """Also of this module, whose environment decides what comes of a source."""
        return super().get_source_checksum(_THIS_MODULE + source)

    def load_bytecode(self, bucket: Bucket) -> None:
        with suppress(OSError, EOFError, ValueError, TypeError):  # one that is no good
            super().load_bytecode(bucket)

    def dump_bytecode(self, bucket: Bucket) -> None:
        if not sys.dont_write_bytecode:
            with suppress(OSError):
                super().dump_bytecode(bucket)


_THIS_MODULE: Final = Path(__file__).read_text("utf-8")
_TEMPLATES: Final = Environment(
    bytecode_cache=CompiledTemplates(),
    loader=PackageLoader("backroom.console", "templates"),
    autoescape=select_autoescape(default=True),
    undefined=StrictUndefined,
    auto_reload=False,
    trim_blocks=True,
    lstrip_blocks=True,
)


class Text:
    """The texts of one language: `t("key", name=value)`."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._at = LANGUAGES.index(language)

    def __call__(self, key: str, **values: Any) -> str:
        text = TEXTS[key][self._at]
        return text.format(**values) if values else text

    def either(self, key: str, otherwise: str) -> str:
        """For words that another release may have brought."""
        return self(key) if key in TEXTS else otherwise

    def count(self, key: str, n: int) -> str:
        """With a text of its own for one."""
        return self(f"{key}_one") if n == 1 else self(key, n=self.number(n))

    def number(self, value: float) -> str:
        return f"{value:,}"

    def span(self, seconds: float | None) -> str:
        """A length of time in two units at most."""
        if seconds is None:
            return "–"  # noqa: RUF001  a dash for what there is none of
        if seconds < 1:
            return self("span_ms", n=round(seconds * 1000))
        whole = round(seconds)
        if whole < MINUTE_S:
            return self("span_s", n=whole if seconds >= 10 else round(seconds, 1))  # noqa: PLR2004
        if whole < HOUR_S:
            return self("span_m", m=whole // MINUTE_S, s=whole % MINUTE_S)
        if whole < DAY_S:
            return self("span_h", h=whole // HOUR_S, m=whole % HOUR_S // MINUTE_S)
        return self("span_d", d=whole // DAY_S, h=whole % DAY_S // HOUR_S)

    def time(self, moment: datetime | str | None) -> Markup:
        """For the reader: a script puts it into their zone; without one it is UTC."""
        if moment is None:
            return Markup('<span class="none">–</span>')  # noqa: RUF001
        exact = moment if isinstance(moment, str) else stamp(moment)
        shown = f"{exact[:10]} {exact[11:19]}"
        return Markup('<time datetime="{}">{}</time>').format(exact, shown)


TEXT: Final = {language: Text(language) for language in LANGUAGES}


def asset_versions() -> dict[str, str]:
    """Names with a part of their content's hash, so that they may be kept for ever."""
    folder = files("backroom.console").joinpath("static")
    digests = {
        name: hashlib.sha256(folder.joinpath(name).read_bytes()).hexdigest() for name in ASSETS
    }
    return {name: f"{STATIC}/{name}?v={digest[:12]}" for name, digest in digests.items()}


_ASSETS: Final = asset_versions()


def pretty(value: Any) -> str:
    """JSON for people."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _short(text: str) -> str:
    return text[:SHOWN_SHORT]


def _elapsed(later: datetime, earlier: datetime) -> float:
    return max(0.0, (later - earlier).total_seconds())


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _utc(text: str) -> str:
    return f"{text[:10]} {text[11:19]} UTC"


def local_form(text: str) -> str:
    """A moment as a field of date and time takes it, in UTC; what is none stays as it is."""
    moment = _given(text)
    if moment is None:
        return text
    whole = moment.replace(tzinfo=None, microsecond=0)
    return whole.isoformat(timespec="seconds" if whole.second else "minutes")


def exact_moment(text: str) -> str:
    """What a field of date and time can't hold all of; empty where it is no moment."""
    moment = _given(text)
    return "" if moment is None else stamp(moment)


def _given(text: str) -> datetime | None:
    """UTC where no zone is given."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


_TEMPLATES.filters["pretty"] = pretty
_TEMPLATES.filters["utc"] = _utc
_TEMPLATES.filters["short"] = _short
_TEMPLATES.filters["moment"] = _moment
_TEMPLATES.filters["local"] = local_form
_TEMPLATES.filters["exact"] = exact_moment
_TEMPLATES.filters["stamp"] = stamp
_TEMPLATES.globals.update(assets=_ASSETS, elapsed=_elapsed)


def compile_all() -> None:
    """Once, where nobody waits for a page."""
    for name in _TEMPLATES.list_templates():
        _TEMPLATES.get_template(name)


def rendered(template: str, context: Mapping[str, Any], status: int = 200) -> HTMLResponse:
    """`context` has `t`, the Text of the reader's language."""
    return HTMLResponse(_TEMPLATES.get_template(template).render(context), status)
