"""As many requests a second as were said, for each caller: a bucket of tokens."""

import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from time import monotonic

import msgspec

from backroom.api.exchange import Request, Response
from backroom.api.routes import Handler, Route
from backroom.domain.errors import TooManyRequests

CALLERS_MOST = 10_000  # remembered; whoever was away longest begins anew


class Bucket(msgspec.Struct):
    tokens: float
    at: float


class RateLimit:
    """`per_s` requests a second of each user in each project, `burst` at once; None: no limit."""

    def __init__(self, per_s: float | None, now: Callable[[], float] = monotonic) -> None:
        self._planned = per_s
        self._now = now
        self._buckets: OrderedDict[object, Bucket] = OrderedDict()
        self.change(per_s)

    def change(self, per_s: float | None, burst: int | None = None) -> None:
        self.per_s = per_s
        self.burst = max(1, math.ceil(per_s or 1)) if burst is None else burst
        self._buckets.clear()

    def restart(self) -> None:
        self.change(self._planned)

    def wait_s(self, caller: object) -> float:
        """0.0 and a token is taken, or the seconds until there is one."""
        if self.per_s is None:
            return 0.0
        now = self._now()
        bucket = self._buckets.pop(caller, None) or Bucket(self.burst, now)
        self._buckets[caller] = bucket
        if len(self._buckets) > CALLERS_MOST:
            self._buckets.popitem(last=False)
        bucket.tokens = min(self.burst, bucket.tokens + (now - bucket.at) * self.per_s)
        bucket.at = now
        if bucket.tokens >= 1:
            bucket.tokens -= 1
            return 0.0
        return (1 - bucket.tokens) / self.per_s


class RateLimited:
    """Refuses what is over the limit; calls without an identity have none."""

    def __init__(self, limit: RateLimit) -> None:
        self._limit = limit

    def __call__(self, _route: Route, request: Request, handler: Handler) -> Awaitable[Response]:
        who = request.identity
        if who is not None and self._limit.per_s is not None:
            wait_s = self._limit.wait_s((who.project_id, who.user_id))
            if wait_s > 0:
                raise TooManyRequests(math.ceil(wait_s))
        return handler(request)
