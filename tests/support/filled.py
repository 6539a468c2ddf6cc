"""A database file with something of everything in it, and what all its tables hold."""

import asyncio
from pathlib import Path
from typing import Any

import apsw
from tests.support.signer import Signer
from tests.support.world import Caller, MovableClock, World, make_world

from backroom.bootstrap import Backroom
from backroom.domain.account import Role
from backroom.domain.filter import Page
from backroom.domain.instance import InstanceFilter
from backroom.settings import DATABASE_FILE


def filled_world(data: Path) -> World:
    """Tasks that ended, one that runs, some that wait; a user, keys, a token."""
    world = make_world(data, database=None)
    world.bind()
    world.run_until_idle()
    world.user("reader", "Secret-of-reader-1", Role.VIEWER)
    world.log_in("reader", "Secret-of-reader-1")
    world.caller(Role.VIEWER)
    for _ in range(3):
        world.bind()
    world.submit(execute_at=world.clock.now().replace(year=2030))
    world.clock.move(seconds=1)
    world.begin()
    return world


def resumed(backroom: Backroom, clock: MovableClock, runner: asyncio.Runner) -> World:
    """A world of a database that others have filled."""
    world = World.__new__(World)
    world.backroom, world.clock, world.runner = backroom, clock, runner
    world.begun, world._names = [], 100
    keys = runner.run(backroom.account_store.access_keys())
    generated = [key for key in keys if key.is_generated]
    if generated:
        world.key, world.project_id = generated[0], generated[0].project_id
        world.admin = Caller(world, Signer(generated[0].access_key, generated[0].secret_key))
        wanted = InstanceFilter(project_id=world.project_id)
        world.instance = runner.run(backroom.instances.find(wanted, Page()))[0][0]
    return world


def everything(data: Path) -> dict[str, list[Any]]:
    """Every row of every table, with every column."""
    connection = apsw.Connection(str(data / DATABASE_FILE))
    names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    found = {
        name: connection.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall()  # noqa: S608
        for (name,) in names
    }
    connection.close()
    return found


def edit(data: Path, *statements: str) -> None:
    """Behind everybody's back."""
    connection = apsw.Connection(str(data / DATABASE_FILE))
    connection.execute("PRAGMA ignore_check_constraints = 1")
    for statement in statements:
        connection.execute(statement)
        assert connection.changes() > 0, statement
    connection.close()
