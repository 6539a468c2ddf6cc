"""The routes alone, with nothing behind them."""

from typing import get_type_hints

from backroom.api.routes import Route
from backroom.api.table import route_table


def bare_routes() -> tuple[Route, ...]:
    """Handlers of every kind that the table asks for, none of which has anything to work with."""
    kinds = {name: kind for name, kind in get_type_hints(route_table).items() if name != "return"}
    return route_table(**{name: kind.__new__(kind) for name, kind in kinds.items()}).routes
