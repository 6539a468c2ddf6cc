"""Options that are refused where they are empty: a variable that is not set means nothing else."""

import typer


def nonempty(text: str | None) -> str | None:
    """Raises typer.BadParameter."""
    if text is not None and not text.strip():
        raise typer.BadParameter("is empty")
    return text


def nonempty_list(text: str | None) -> str | None:
    """By commas. Raises typer.BadParameter, also for one empty part of it."""
    if text is not None and not all(part.strip() for part in text.split(",")):
        raise typer.BadParameter("is empty, or a part of it is")
    return text
