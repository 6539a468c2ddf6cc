"""`backroom audit`: prove that events are all there and unchanged, to yourself and to others."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backroom.cli.app import Data
from backroom.cli.loop import run
from backroom.domain.errors import BackroomError
from backroom.domain.ids import ProjectId

if TYPE_CHECKING:
    from backroom.audit.chains import Followed
    from backroom.audit.checking import Checked
    from backroom.audit.period import Period
    from backroom.database import Ledger

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Project = Annotated[str | None, typer.Option("--project", metavar="ID", help="One project only.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document.")]


class NoSuchProject(BackroomError):
    pass


@app.command(epilog="Example: backroom audit verify november.jsonl december.jsonl")
def verify(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE",
            help="Exported bundles, oldest first.",
            exists=True,
            dir_okay=False,
            show_default=False,
        ),
    ] = None,
    data: Data = None,
    project: Project = None,
    public_key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The signer's public key (PEM).", exists=True, dir_okay=False
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Follow the chain of each project's events, in the data folder or in exported bundles.

    Without FILE it looks at the data folder, beside a server that may be running. With FILE it
    needs nothing but the files: are the hashes right, is the signature, is no event missing, in
    the files and between them. Exit code 0 if all is in order, 1 if not.
    """
    if not files and public_key is not None:
        raise typer.BadParameter("goes with FILE only", param_hint="--public-key")
    results = run(_verify_store(data, project)) if not files else _verify_files(files, public_key)
    if files and project is not None:
        results = [result for result in results if result["project_id"] == project]
        if not results:
            raise NoSuchProject(f"no file has events of project {project}")
    _print(results, as_json=as_json)
    if not all(result["ok"] for result in results):
        raise typer.Exit(1)


@app.command(epilog="Example: backroom audit export --from 2026-11-01 --to 2026-12-01 --output F")
def export(
    data: Data = None,
    project: Project = None,
    begin: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="ISO 8601, UTC if not said.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Up to, without, this moment.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A new file. [default: standard output]")
    ] = None,
) -> None:
    """Write the events of a project as JSON lines, signed, to be checked by anybody anywhere.

    A date means its first moment. Periods that meet give bundles that join without a gap.
    """
    from backroom.audit.period import Period  # noqa: PLC0415

    period = Period(_moment(begin, "--from"), _moment(end, "--to"))
    if period.begin is not None and period.end is not None and period.end < period.begin:
        raise typer.BadParameter("is before --from", param_hint="--to")
    run(_export(data, project, period, output))


@app.command(epilog="Example: backroom audit key > backroom-audit.pem")
def key(data: Data = None) -> None:
    """Print the public key that exported bundles are signed with, for those who check them."""
    from backroom.audit_key import AuditKey, fingerprint  # noqa: PLC0415
    from backroom.cli.database import located  # noqa: PLC0415
    from backroom.settings import AUDIT_KEY_FILE  # noqa: PLC0415

    signer = AuditKey(located(data).data / AUDIT_KEY_FILE)
    typer.echo(signer.public_pem, nl=False)
    typer.echo(fingerprint(signer.public_key), err=True)


def _moment(text: str | None, option: str) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!r} is no time like 2026-11-24T08:00:00Z and no date", param_hint=option
        ) from None


async def _verify_store(data: Path | None, project: str | None) -> list[dict[str, Any]]:
    from backroom.audit.chains import check_chain  # noqa: PLC0415
    from backroom.cli.database import located  # noqa: PLC0415
    from backroom.cli.progress import progress  # noqa: PLC0415
    from backroom.database import ledger  # noqa: PLC0415

    async with ledger(located(data)) as found:
        wanted = found.projects if project is None else [_known(found, project)]
        results = []
        for project_id in wanted:
            head = await found.journal.head(project_id)
            with progress(f"project {project_id}", head.sequence) as seen:
                results.append(_result(await check_chain(found.journal, project_id, seen)))
        return results


def _known(ledger: "Ledger", project: str) -> ProjectId:
    if project not in ledger.projects:
        raise NoSuchProject(f"there is no project {project}; there are {_listed(ledger)}")
    return ProjectId(project)


def _listed(ledger: "Ledger") -> str:
    return ", ".join(ledger.projects) or "none"


def _verify_files(files: list[Path], public_key: Path | None) -> list[dict[str, Any]]:
    from backroom.audit.checking import UnreadableBundle, gap  # noqa: PLC0415
    from backroom.audit_key import read_public_key  # noqa: PLC0415

    pinned = None if public_key is None else read_public_key(public_key)
    latest: dict[str, Checked] = {}
    results = []
    for file in files:
        try:
            checked = _checked(file)
        except UnreadableBundle as error:
            results.append({"file": str(file), "project_id": None, "ok": False, "why": str(error)})
            continue
        earlier = latest.get(checked.header.project_id)
        apart = None if earlier is None else gap(earlier, checked)
        why = checked.why or _stranger(checked, pinned) or apart
        latest[checked.header.project_id] = checked
        results.append({"file": str(file)} | _signed_result(checked, why, is_pinned=bool(pinned)))
    return results


def _checked(file: Path) -> "Checked":
    from backroom.audit.checking import checked  # noqa: PLC0415
    from backroom.audit_key import is_signed  # noqa: PLC0415
    from backroom.cli.files import lines  # noqa: PLC0415
    from backroom.cli.progress import progress  # noqa: PLC0415

    with file.open("rb") as opened, progress(str(file), file.stat().st_size) as seen:
        return checked(lines(opened, seen), is_signed)


def _stranger(checked: "Checked", pinned: bytes | None) -> str | None:
    from backroom.audit_key import fingerprint  # noqa: PLC0415

    if pinned is None or checked.public_key == pinned:
        return None
    return f"it is signed by {fingerprint(checked.public_key)}, not by the key that was given"


def _signed_result(checked: "Checked", why: str | None, *, is_pinned: bool) -> dict[str, Any]:
    from backroom.audit_key import fingerprint  # noqa: PLC0415

    return _result(checked.followed) | {
        "ok": why is None,
        "why": why,
        "signer": fingerprint(checked.public_key),
        "is_pinned": is_pinned,
        "from": checked.header.from_,
        "to": checked.header.to,
    }


def _result(followed: "Followed") -> dict[str, Any]:
    from backroom.domain.stamps import stamp  # noqa: PLC0415

    broken = followed.broken
    return {
        "project_id": followed.project_id,
        "events": followed.count,
        "first_sequence": followed.start.sequence + 1,
        "last_sequence": followed.end.sequence,
        "first_at": None if followed.first_at is None else stamp(followed.first_at),
        "last_at": None if followed.last_at is None else stamp(followed.last_at),
        "last_hash": followed.end.hash.hex(),
        "ok": broken is None,
        "why": None if broken is None else broken.text,
        "broken_event": None if broken is None else _broken_event(broken.event),
    }


def _broken_event(sealed: Any) -> dict[str, Any] | None:
    import msgspec  # noqa: PLC0415

    if sealed is None:
        return None
    event: dict[str, Any] = msgspec.to_builtins(sealed.event)
    return event | {"task_id": sealed.task_id, "instance_id": sealed.instance_id}


def _print(results: list[dict[str, Any]], *, as_json: bool) -> None:
    import json  # noqa: PLC0415

    if as_json:
        document = {"ok": all(result["ok"] for result in results), "results": results}
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    if not results:
        typer.echo("there are no projects")
    for result in results:
        for line in _lines(result):
            typer.echo(line)


def _lines(result: dict[str, Any]) -> Iterator[str]:
    name = result["project_id"]
    if "file" in result:
        name = result["file"] if name is None else f"{result['file']}: {name}"
    said = "ok" if result["ok"] else f"BROKEN: {result['why']}"
    if result["project_id"] is None:
        yield f"{name}: {said}"
        return
    yield f"{name}: {_extent(result)}: {said}"
    event = result["broken_event"]
    if event is not None:
        yield (
            f"  it says: {event['at']} {event['verb']} by {event['actor']}, "
            f"task {event['task_id']}, instance {event['instance_id']}"
        )
    if "signer" in result:
        pin = "as given" if result["is_pinned"] else "compare it: backroom audit key"
        yield f"  signed by {result['signer']} ({pin})"


def _extent(result: dict[str, Any]) -> str:
    count = result["events"]
    if count == 0:
        return "no events"
    span = f"{result['first_sequence']} to {result['last_sequence']}"
    return f"{count} events, {span}, {result['first_at']} to {result['last_at']}"


async def _export(
    data: Path | None, project: str | None, period: "Period", output: Path | None
) -> None:
    from backroom.audit.bundle import header_of, written  # noqa: PLC0415
    from backroom.audit.chains import pages  # noqa: PLC0415
    from backroom.audit_key import AuditKey  # noqa: PLC0415
    from backroom.cli.database import located  # noqa: PLC0415
    from backroom.cli.files import writing  # noqa: PLC0415
    from backroom.cli.progress import progress  # noqa: PLC0415
    from backroom.database import ledger  # noqa: PLC0415
    from backroom.settings import AUDIT_KEY_FILE  # noqa: PLC0415

    settings = located(data)
    async with ledger(settings) as found:
        project_id = _known(found, project) if project else _only(found)
        header, last = await header_of(found.journal, project_id, period, datetime.now(UTC))
        first = header.before.sequence
        events = pages(found.journal, project_id, first, last)
        signer = AuditKey(settings.data / AUDIT_KEY_FILE)
        with writing(output) as write, progress("events", last - first) as seen:
            async for part in written(header, events, signer, seen):
                write(part)
    if output is not None:
        typer.echo(f"{max(last - first, 0)} events of project {project_id} in {output}", err=True)


def _only(ledger: "Ledger") -> ProjectId:
    if len(ledger.projects) != 1:
        raise NoSuchProject(f"choose one by --project; there are {_listed(ledger)}")
    return ledger.projects[0]
