"""Ties a test to the words of a port's contract."""


def promised(method, words: str):
    """The words a test proves. They must stand in the method's docstring, or the import fails."""
    contract = " ".join((method.__doc__ or "").split())
    if words not in contract:
        raise ValueError(f"{method.__qualname__} does not promise: {words}")
    return lambda test: test
