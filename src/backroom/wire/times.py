"""Moments as the wire writes them, other than our own stamps.

A task's times are stamps already: UTC, three digits of milliseconds, Z [D: the page's example].
"""

from datetime import UTC, datetime, timedelta

from backroom.domain.errors import InvalidInput

COMPACT_LENGTH = len("YYYYMMDDHHmmss")


def encode_epoch_ms(moment: datetime) -> int:
    """Milliseconds since 1970, as step times are written [D]. Exact: no float on the way."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def decode_compact(parameter: str, text: str) -> datetime:
    """`YYYYMMDDHHmmss` in UTC [D form, O zone: Terraform formats time.Now().UTC()]."""
    if len(text) == COMPACT_LENGTH and text.isascii() and text.isdigit():
        try:
            return datetime(  # strptime would be ten times slower
                int(text[:4]), int(text[4:6]), int(text[6:8]),
                int(text[8:10]), int(text[10:12]), int(text[12:]), tzinfo=UTC,
            )  # fmt: skip
        except ValueError:
            pass
    raise InvalidInput(parameter, "must be a UTC time of the form YYYYMMDDHHmmss")
