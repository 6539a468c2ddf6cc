"""Files for options that take a secret from one."""

from pathlib import Path


def written(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    path.chmod(0o600)
    return path
