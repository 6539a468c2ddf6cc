"""Compiles the samples where this machine can, and records it: `python docs/compile_samples.py`.

Java and Go are compiled with the project files of examples/; of Node.js each class and method is
looked up in the installed package. Needs their toolchains, and registries for packages that are
missing. The pages are to be made anew afterwards.
"""

import asyncio
import importlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "docs"))

generate: Any = importlib.import_module("generate")
samples: Any = generate._beside("samples")  # noqa: SLF001
programs: Any = importlib.import_module("interop.programs")

WORK = programs.WORK / "samples"
_NODE_CHECK = """
const kafka = require("@huaweicloud/huaweicloud-sdk-kafka/v2/public-api");
const missing = [];
for (const [kind, ...names] of JSON.parse(process.argv[1])) {
  for (const name of names) {
    if (!kafka[kind] || (name && !(name in kafka[kind].prototype))) missing.push(kind + "." + name);
  }
}
if (missing.length) { console.error(missing.join(" ")); process.exit(1); }
"""


def all_calls() -> list[Any]:
    """Every call that has a sample, from the real route table."""
    with tempfile.TemporaryDirectory() as folder:
        assembled = generate._assembled(  # noqa: SLF001
            Path(folder), lambda backroom, _: samples.calls(backroom.table.routes)
        )
        return list(asyncio.run(assembled))


def passed_java(calls: Iterable[Any]) -> tuple[str, list[Any]]:
    folder = _made_anew("java")
    shutil.copy(ROOT / "examples" / "java" / "pom.xml", folder)
    programs.built(["mvn", "-B", "-q", "generate-resources"], folder, JAVA_TOOL_OPTIONS="")
    classpath = (folder / "target" / "classpath").read_text("utf-8").strip()
    compiler = ["javac", "-encoding", "UTF-8", "-cp", classpath, "-d", str(folder / "classes")]

    def passes(call: Any) -> bool:
        source = folder / f"{samples.java_class(call)}.java"
        source.write_text(samples.program("java", call), "utf-8")
        return _succeeds([*compiler, str(source)], folder, missing="cannot find symbol")

    jar = next(p for p in classpath.split(os.pathsep) if "huaweicloud-sdk-kafka" in p)
    return Path(jar).stem.replace("kafka-", "kafka "), [call for call in calls if passes(call)]


def passed_go(calls: Iterable[Any]) -> tuple[str, list[Any]]:
    folder = _made_anew("go")
    for name in ("go.mod", "go.sum"):
        shutil.copy(ROOT / "examples" / "go" / name, folder)
    package = "github.com/huaweicloud/huaweicloud-sdk-go-v3"
    programs.built(["go", "mod", "download", package], folder)
    version = programs.built(["go", "list", "-m", "-f", "{{.Version}}", package], folder).strip()

    def passes(call: Any) -> bool:
        below = folder / call.route.operation
        below.mkdir()
        (below / "main.go").write_text(samples.program("go", call), "utf-8")
        command = ["go", "build", "-o", os.devnull, f"./{call.route.operation}"]
        return _succeeds(command, folder, missing="undefined: model.")

    passed = [call for call in calls if passes(call)]
    return f"huaweicloud-sdk-go-v3 {version.removeprefix('v')}", passed


def passed_nodejs(calls: Iterable[Any]) -> tuple[str, list[Any]]:
    node = next(language for language in programs.LANGUAGES if language.name == "nodejs")
    version = node.prepare({})["@huaweicloud/huaweicloud-sdk-kafka"]

    def passes(call: Any) -> bool:
        text = samples.program("nodejs", call)
        named = msgspec.json.encode(_named(call, text)).decode()
        source = node.work / "sample.js"
        source.write_text(text, "utf-8")
        checks = (["node", "--check", str(source)], ["node", "-e", _NODE_CHECK, named])
        return all(_succeeds(check, node.work) for check in checks)

    passed = [call for call in calls if passes(call)]
    return f"@huaweicloud/huaweicloud-sdk-kafka {version}", passed


def _named(call: Any, text: str) -> list[list[str]]:
    """Each class with the methods that are called on it."""
    method = re.findall(r"^  \.(\w+)\(request\)$", text, re.MULTILINE)
    return [["KafkaClient", *method], *_setters(call.request)]


def _setters(value: Any) -> Iterable[list[str]]:
    if isinstance(value, samples.Model):
        names = ("".join(w.capitalize() for w in field.name.split("_")) for field in value.fields)
        yield [value.name, "", *(f"with{name}" for name in names)]
        for field in value.fields:
            yield from _setters(field.value)
    elif isinstance(value, tuple):
        for one in value:
            yield from _setters(one)


def _made_anew(name: str) -> Path:
    folder: Path = WORK / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _succeeds(command: list[str], folder: Path, missing: str = "") -> bool:
    """False where the package lacks the class of the request. Ends everything on other errors."""
    done = subprocess.run(  # noqa: S603  compilers, told what we wrote
        command,
        cwd=folder,
        env=os.environ | {"JAVA_TOOL_OPTIONS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    told = done.stdout + done.stderr
    if done.returncode and not (missing and missing in told and "Request" in told):
        raise SystemExit(told)
    return done.returncode == 0


COMPILERS: Mapping[str, Callable[[Iterable[Any]], tuple[str, list[Any]]]] = {
    "java": passed_java,
    "go": passed_go,
    "nodejs": passed_nodejs,
}


def digests(language: str, passed: Iterable[Any]) -> dict[str, str]:
    return {
        call.route.operation: samples.digest(samples.program(language, call)) for call in passed
    }


def main() -> int:
    kept = samples.record()
    calls = all_calls()
    for language, passed_of in COMPILERS.items():
        try:
            kept.packages[language], passed = passed_of(calls)
        except programs.Unavailable as why:
            print(f"{language}: as recorded before, for {why}")
            continue
        kept.passed[language] = digests(language, passed)
        print(f"{language}: {len(passed)} of {len(calls)}, {kept.packages[language]}")
    text = msgspec.json.format(msgspec.json.encode(kept), indent=2)
    samples.RECORD.write_bytes(text + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
