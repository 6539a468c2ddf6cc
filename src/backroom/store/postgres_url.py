"""URLs of PostgreSQL, apart from what opens them: that takes long to import."""

from urllib.parse import parse_qsl, urlencode, urlsplit

SCHEMES = ("postgresql://", "postgres://")


def without_password(url: str) -> str:
    """The URL as it may be shown and kept."""
    parts = urlsplit(url)
    login, is_there, place = parts.netloc.rpartition("@")
    user = login.partition(":")[0]
    query = urlencode([pair for pair in parse_qsl(parts.query) if pair[0] != "password"], safe="/")
    return parts._replace(netloc=user + is_there + place, query=query).geturl()
