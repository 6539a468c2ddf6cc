"""The canonical forms a client may have signed, made from the wire form of its request.

The rule and the reason why each extra form is safe: docs/wire/signing.md.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hmac import compare_digest
from typing import Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

Pair = tuple[bytes, bytes]
Named = tuple[str, bytes]  # the variant's name and the canonical text

UNRESERVED: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
PLAIN_IN_PATH: Final = UNRESERVED + b"/"
# Each extra order costs a sort and a hash; no operation has more than a dozen parameters.
PARAMETERS_REORDERED_MAX: Final = 500
# In a bare key these would read as another request's query, see docs/wire/signing.md.
STRUCTURAL_IN_QUERY: Final = b"&=%+#" + bytes(range(0x20))
UNSIGNED_PAYLOAD: Final = b"UNSIGNED-PAYLOAD"
# [P] Python, Go, PHP and .NET decode the path before signing; only Java and Node don't.
DECODING_CLIENTS: Final = tuple(
    b"huaweicloud-usdk-" + name for name in (b"python", b"go", b"php", b"net")
)


def canonical_path(raw_path: bytes) -> bytes:
    return _with_slash(_quote(unquote_to_bytes(raw_path), "/"))


def path_candidates(raw_path: bytes, *, may_encode_twice: bool) -> list[Named]:
    named = [("decoded", canonical_path(raw_path))]
    if may_encode_twice and b"%" in raw_path:
        named.append(("double", _with_slash(_quote(raw_path, "/"))))
    return named


def may_encode_twice(user_agent: bytes | None) -> bool:
    """False if the *signed* user agent is a client that decodes first.

    Without this, a request such a client signed for the name `%41` would also be good for
    the name `A`.
    """
    return user_agent is None or not user_agent.startswith(DECODING_CLIENTS)


def canonical_query(raw_query: bytes) -> bytes:
    if not raw_query:
        return b""
    return _join(sorted(_pairs(raw_query)))


def query_candidates(raw_query: bytes) -> list[Named]:
    """The standard form first, no form twice; all hold the same parameters, in other orders."""
    if not raw_query:
        return [("none", b"")]
    pairs = _pairs(raw_query)
    named = [("raw", _join(sorted(pairs)))]
    if len(pairs) > PARAMETERS_REORDERED_MAX:
        return named
    named += [(name, _join(order(pairs))) for name, order in _ORDERS]
    twice = _java_keys_twice(pairs)
    if twice is not None:
        named.append(("key-twice", twice))
    return _without_repeats(named)


def header_lines(fields: Mapping[bytes, Sequence[bytes]], names: Iterable[bytes]) -> bytes:
    """One line for each value, the values of one name sorted; a missing name has no line."""
    return b"".join(
        b"%b:%b\n" % (name, value) for name in names for value in sorted(fields.get(name, ()))
    )


def payload_candidates(declared: bytes | None, computed: bytes) -> list[Named]:
    """Declared before computed.

    `computed` alone if the declaration is neither a hash of this body nor the word for
    "not signed": [P] Python declares the word for an empty body and then signs the hash.
    """
    named = [("computed", computed)]
    if declared is not None and (
        compare_digest(declared, UNSIGNED_PAYLOAD) or compare_digest(declared.lower(), computed)
    ):
        named.insert(0, ("declared", declared))
    return _without_repeats(named)


def _pairs(raw_query: bytes) -> list[Pair]:
    pairs = []
    for parameter in raw_query.split(b"&"):
        key, _, value = parameter.partition(b"=")
        pairs.append((_decode(key), _decode(value)))
    return pairs


def _decode(text: bytes) -> bytes:
    return unquote_to_bytes(text.replace(b"+", b" "))


def _quote(text: bytes, also_plain: str = "") -> bytes:
    return quote_from_bytes(text, safe=also_plain).encode()


def _encode(text: bytes) -> bytes:
    return text if not text.translate(None, UNRESERVED) else _quote(text)


def _with_slash(path: bytes) -> bytes:
    return path if path.endswith(b"/") else path + b"/"


def _join(pairs: Iterable[Pair]) -> bytes:
    return b"&".join([b"%b=%b" % (_encode(key), _encode(value)) for key, value in pairs])


# [P] Java sorts encoded keys and leaves a list's values as given; PHP sorts numbers in text
# as numbers and sends what it signed.
_ORDERS: Final[tuple[tuple[str, Callable[[list[Pair]], list[Pair]]], ...]] = (
    ("raw-key", lambda pairs: sorted(pairs, key=lambda pair: pair[0])),
    ("encoded-key", lambda pairs: sorted(pairs, key=lambda pair: _encode(pair[0]))),
    ("encoded", lambda pairs: sorted(pairs, key=lambda pair: (_encode(pair[0]), pair[1]))),
    ("as-sent", lambda pairs: pairs),
)


def _java_keys_twice(pairs: list[Pair]) -> bytes | None:
    """Java's form when a key needs encoding: its pairs under the bare key as well.

    None where it can't occur or could be read as another request's query.
    """
    odd = [pair for pair in pairs if _encode(pair[0]) != pair[0]]
    if not odd or any(_is_structural(key) for key, _ in odd):
        return None
    entries = [(_encode(key), _encode(value)) for key, value in pairs]
    # [P] what Java reads back from its own URL has no empty values
    entries += [(key, _encode(value)) for key, value in odd if value]
    entries.sort(key=lambda entry: entry[0])
    return b"&".join([b"%b=%b" % entry for entry in entries])


def _is_structural(key: bytes) -> bool:
    return any(byte in STRUCTURAL_IN_QUERY for byte in key)


def _without_repeats(named: Iterable[Named]) -> list[Named]:
    return list(_first_of_each(named))


def _first_of_each(named: Iterable[Named]) -> Iterator[Named]:
    seen: set[bytes] = set()
    for name, text in named:
        if text not in seen:
            seen.add(text)
            yield name, text
