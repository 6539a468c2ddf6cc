"""Query strings to checked values."""

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import parse_qsl

from backroom.domain.errors import InvalidInput
from backroom.wire.times import decode_compact

MAX_PARAMETERS = 100
MAX_NUMBER = 2**31 - 1  # [D] int32 in the SDK's models


def decode_query(raw: bytes) -> dict[str, str]:
    """The parameters; an empty value counts as not given.

    A name given twice is refused: a signature is over the sorted query, so it doesn't say which
    came first.

    Unknown names are for the caller to ignore, as the real service does [I]. Raises InvalidInput
    for bytes that are not UTF-8, a NUL, a name twice, or more than MAX_PARAMETERS.
    """
    if not raw:
        return {}
    try:
        pairs = parse_qsl(raw.decode("ascii"), errors="strict", max_num_fields=MAX_PARAMETERS)
    except UnicodeDecodeError:
        raise InvalidInput("query", "must be percent-encoded UTF-8") from None
    except ValueError:
        raise InvalidInput("query", f"may have at most {MAX_PARAMETERS} parameters") from None
    query: dict[str, str] = {}
    for name, value in pairs:
        if "\0" in value:
            raise InvalidInput(name, "must not contain NUL")
        if name in query:
            raise InvalidInput(name, "must be given once")
        query[name] = value
    return query


def whole_number(
    query: Mapping[str, str], name: str, default: int, *, least: int, most: int = MAX_NUMBER
) -> int:
    text = query.get(name)
    if text is None:
        return default
    if text.isascii() and text.isdigit() and len(text) <= len(str(MAX_NUMBER)):
        number = int(text)
        if least <= number <= most:
            return number
    raise InvalidInput(name, f"must be a whole number from {least} to {most}")


def moment(query: Mapping[str, str], name: str) -> datetime | None:
    text = query.get(name)
    return None if text is None else decode_compact(name, text)
