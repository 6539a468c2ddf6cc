"""Checks a file of `bundle` with nothing but the file, in memory that doesn't grow with it."""

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from hashlib import sha256
from itertools import islice
from typing import TypeVar

import msgspec

from backroom.audit.bundle import ALGORITHM, FORMAT, EventLine, Head, Header, Trailer, signed_text
from backroom.audit.chains import PAGE, Followed, begin, follow
from backroom.domain.chain import ChainHead, SealedEvent
from backroom.domain.errors import BackroomError
from backroom.domain.ids import ProjectId
from backroom.domain.stamps import stamp
from backroom.domain.task import Event

T = TypeVar("T")

_LIKE = "2020-06-15T08:55:53.606Z"

IsSigned = Callable[[bytes, bytes, bytes], bool]  # by the public key, with the signature, the text


class Checked(msgspec.Struct, frozen=True):
    """What a file holds. `why` is None where all is as it must be; `public_key` is the signer's."""

    header: Header
    followed: Followed
    public_key: bytes
    why: str | None


class UnreadableBundle(BackroomError):
    """Not a bundle, or one that was cut off or edited so that it can't be read."""


_header = msgspec.json.Decoder(Header)
_line = msgspec.json.Decoder(EventLine)
_trailer = msgspec.json.Decoder(Trailer)


def checked(lines: Iterable[bytes], is_signed: IsSigned) -> Checked:
    """Follow the events of a file from its lines as they are, line ends and all.

    Raises UnreadableBundle.
    """
    numbered = _Lines(lines)
    header = numbered.header()
    followed = begin(header.project_id, _as_chain_head(header.before))
    events = numbered.events(header.project_id)
    while page := list(islice(events, PAGE)):
        if followed.broken is None:
            followed = follow(followed, page)
    trailer = numbered.trailer()
    public_key = _decoded(trailer.public_key)
    why = None if followed.broken is None else followed.broken.text
    if not is_signed(public_key, _decoded(trailer.signature), signed_text(numbered.digest)):
        why = why or "the signature doesn't fit: the file was changed after it was signed"
    return Checked(header, followed, public_key, why or _wrong_trailer(trailer, followed))


def gap(earlier: Checked, later: Checked) -> str | None:
    """Why two files of one project, given in this order, don't join; None if they do."""
    end, start = earlier.followed.end, later.followed.start
    if end.sequence != start.sequence:
        return f"it goes on after event {start.sequence}, the file before ends at {end.sequence}"
    if end.hash != start.hash:
        return f"it goes on from another event {start.sequence} than the file before ends with"
    return None


def _wrong_trailer(trailer: Trailer, followed: Followed) -> str | None:
    stated = (trailer.count, trailer.sequence, trailer.hash)
    found = (followed.count, followed.end.sequence, followed.end.hash.hex())
    if stated == found:
        return None
    return f"the trailer states {stated}, the events give {found}"


class _Lines:
    """Reads lines in their order and keeps the digest of all but the last."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = iter(lines)
        self._content = sha256()
        self._last: bytes | None = None
        self.count = 0

    @property
    def digest(self) -> str:
        return self._content.hexdigest()

    def header(self) -> Header:
        first = next(self._lines, b"")
        self.count = 1
        self._content.update(first)
        header = self._read(first, _header)
        if header.format != FORMAT:
            raise UnreadableBundle(f"its format is {header.format}, not {FORMAT}")
        return header

    def events(self, project_id: ProjectId) -> Iterator[SealedEvent]:
        previous: bytes | None = None
        for line in self._lines:
            if previous is not None:
                self.count += 1
                self._content.update(previous)
                yield self._event(project_id, previous)
            previous = line
        self._last = previous

    def trailer(self) -> Trailer:
        self.count += 1
        if self._last is None:
            raise UnreadableBundle("it ends behind its first line: it was cut off")
        try:
            trailer = self._read(self._last, _trailer)
        except UnreadableBundle:
            raise UnreadableBundle("its last line is no trailer: it was cut off") from None
        if trailer.algorithm != ALGORITHM:
            raise UnreadableBundle(f"it is signed by {trailer.algorithm}, not {ALGORITHM}")
        return trailer

    def _event(self, project_id: ProjectId, raw: bytes) -> SealedEvent:
        line = self._read(raw, _line)
        return SealedEvent(
            project_id=project_id,
            sequence=line.sequence,
            instance_id=line.instance_id,
            task_id=line.task_id,
            event=Event(
                at=self._moment(line.at),
                verb=line.verb,
                actor=line.actor,
                from_state=line.from_state,
                to_state=line.to_state,
                step=line.step,
                attempt=line.attempt,
                detail=line.detail,
            ),
            hash=_bytes_of(line.hash),
        )

    def _moment(self, text: str) -> datetime:
        """A stamp and nothing else: the digest is over a stamp."""
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None or stamp(moment) != text:
            raise UnreadableBundle(f"line {self.count}: {text!r} is no moment like {_LIKE}")
        return moment

    def _read(self, raw: bytes, decoder: "msgspec.json.Decoder[T]") -> T:
        try:
            return decoder.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UnreadableBundle(f"line {self.count}: {error}") from None


def _as_chain_head(head: Head) -> ChainHead:
    return ChainHead(head.sequence, _bytes_of(head.hash))


def _bytes_of(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise UnreadableBundle(f"{text[:80]!r} is no hash in hex") from None


def _decoded(text: str) -> bytes:
    """Of the one text that stands for these bytes: the last character has bits to spare."""
    try:
        decoded = b64decode(text, validate=True)
    except ValueError:
        decoded = b""
    if b64encode(decoded).decode() != text:
        raise UnreadableBundle("key and signature must be base64")
    return decoded
