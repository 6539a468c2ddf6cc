"""Exit codes of the commands that talk to a server, and the errors that lead to them."""

from typing import Final

from backroom.domain.errors import BackroomError

SUCCEEDED: Final = 0
FAILED: Final = 1  # a task failed, or something is broken
CANCELLED: Final = 3
TIMED_OUT: Final = 4
REFUSED: Final = 5  # by the server; or it can't be reached
INTERRUPTED: Final = 130  # as shells have it for Ctrl-C


class CallFailed(BackroomError):
    """The text is ready for people."""

    exit_code = REFUSED


class Unreachable(CallFailed):
    """Nobody answered, or only to say that now is no good time; `again_s`: when to come back."""

    def __init__(self, text: str, again_s: float | None = None) -> None:
        super().__init__(text)
        self.again_s = again_s


class AnswerLost(CallFailed):
    pass


class CallRefused(CallFailed):
    def __init__(self, text: str, status: int, code: str) -> None:
        super().__init__(text)
        self.status = status
        self.code = code


class NotTheApi(CallFailed):
    """What answered is another program, or a broken one."""


class NoNativeApi(CallFailed):
    pass


class TooManyMatches(CallFailed):
    pass


class WrongInstance(CallFailed):
    pass


class NotConnected(CallFailed):
    pass
