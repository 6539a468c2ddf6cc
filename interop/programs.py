"""How each language's programs are built and called.

Every language has one program of ours below `interop/`, beside the examples. It reads a JSON list
of sessions from standard input and prints one JSON line for each call, in order:

- a session: `ak`, `sk`, `instance_id`, `region` or `endpoint`, `calls`; and where it has them
  `project_id`, `security_token`, and for SDKs that find no endpoint by themselves
  `region_endpoint`, `iam_endpoint`;
- a call: `label`, `op` (show, list, instances, progress, delete, bind, create_topic, reassign), and
  what that needs; instances are those of exactly a `name`; bind and reassign wait until the task has ended;
- a line: `label` with `answer`, in the wire's names, or with `error`: `type`, `message`, and for
  what the server refused `status`, `code`, `request_id`.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from interop import page

ROOT = page.ROOT
WORK = ROOT / ".interop"
BUILDS_WITHIN_S = 600
RUNS_WITHIN_S = 180
SHOWN_LINES = 12


class Unavailable(Exception):
    """The toolchain is missing, or a registry does not serve a package: its exact answer."""


class ProgramFailed(Exception):
    pass


def built(arguments: Sequence[str | Path], folder: Path, **more: str) -> str:
    """Output of a step of the build, run in the environment of this process. Raises Unavailable."""
    tool = str(arguments[0])
    if shutil.which(tool) is None and not Path(tool).exists():
        raise Unavailable(f"{Path(tool).name} is not installed")
    done = subprocess.run(
        [str(argument) for argument in arguments],
        cwd=folder,
        env=os.environ | more,
        capture_output=True,
        text=True,
        timeout=BUILDS_WITHIN_S,
        check=False,
    )
    if done.returncode:
        told = (done.stderr + done.stdout).strip().splitlines()
        raise Unavailable("\n".join(told[-SHOWN_LINES:]))
    return done.stdout


def called(
    command: Sequence[str | Path], env: Mapping[str, str], text: str = "", exit_code: int | None = 0
) -> "subprocess.CompletedProcess[str]":
    """Raises ProgramFailed on another exit code; None takes any."""
    try:
        done = subprocess.run(
            [str(part) for part in command],
            env=dict(env),
            input=text,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=RUNS_WITHIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ProgramFailed(f"did not end within {RUNS_WITHIN_S} s") from None
    if exit_code is not None and done.returncode != exit_code:
        told = (done.stderr + done.stdout).strip().splitlines()
        raise ProgramFailed(f"exit code {done.returncode}: " + "\n".join(told[-SHOWN_LINES:]))
    return done


class Language:
    """`samples`: the page's program by whether its project id is filled."""

    name: str
    title: str
    has_page_sample = True
    has_regions_file = True
    tells_throttling = True  # with the code and the request id of the answer
    finds_endpoint = True  # from the environment, by region
    examples: Mapping[str, str]
    notes: Mapping[str, str] = {}  # as in interop/coverage.py

    def prepare(self, samples: Mapping[str, str]) -> dict[str, str]:
        """Builds everything. Returns versions. Raises Unavailable."""
        raise NotImplementedError

    def program(self) -> list[str | Path]:
        raise NotImplementedError

    def example(self, call: str) -> list[str | Path]:
        raise NotImplementedError

    def sample(self, label: str) -> list[str | Path]:
        raise NotImplementedError

    def adapted(self, text: str) -> str:
        """The page's sample as it is run."""
        return text

    @property
    def work(self) -> Path:
        return WORK / self.name

    def copied(self, kept: Sequence[str] = ()) -> None:
        """The examples anew in the working folder, save what is expensive to make."""
        self.work.mkdir(parents=True, exist_ok=True)
        for found in self.work.iterdir():
            if found.name not in kept:
                shutil.rmtree(found) if found.is_dir() else found.unlink()
        skipped = shutil.ignore_patterns("node_modules", "target")
        shutil.copytree(
            ROOT / "examples" / self.name, self.work, dirs_exist_ok=True, ignore=skipped
        )

    def run(self, sessions: list[dict[str, Any]], env: Mapping[str, str]) -> dict[str, Any]:
        """What our program printed, by label. Raises ProgramFailed."""
        printed = called(self.program(), env, json.dumps(sessions)).stdout
        ours = (line for line in printed.splitlines() if line.startswith('{"label"'))
        lines = [json.loads(line) for line in ours]  # an SDK may have printed more
        return {line.pop("label"): line for line in lines}


class Python(Language):
    name, title = "python", "Python"
    tells_throttling = False
    examples = {
        "show": "show_background_task.py",
        "list": "list_background_tasks.py",
        "progress": "show_progress.py",
        "bind": "bind_public_ip.py",
        "reassign": "reassign.py",
    }

    def prepare(self, samples: Mapping[str, str]) -> dict[str, str]:
        self.copied()
        for label, text in samples.items():
            (self.work / f"{label}.py").write_text(text, "utf-8")
        told = json.loads(built([sys.executable, "-c", _PYTHON_VERSIONS], self.work))
        return dict(told)

    def program(self) -> list[str | Path]:
        return [sys.executable, ROOT / "interop" / "python" / "interop_program.py"]

    def example(self, call: str) -> list[str | Path]:
        return [sys.executable, self.work / self.examples[call]]

    def sample(self, label: str) -> list[str | Path]:
        return [sys.executable, self.work / f"{label}.py"]


_PYTHON_VERSIONS = """
import json, platform
from importlib.metadata import version
print(json.dumps({"Python": platform.python_version(),
    "huaweicloudsdkkafka": version("huaweicloudsdkkafka"),
    "huaweicloudsdkcore": version("huaweicloudsdkcore")}))
"""


class Java(Language):
    name, title = "java", "Java"
    examples = {
        "show": "ShowBackgroundTask",
        "list": "ListBackgroundTasks",
        "progress": "ShowProgress",
        "bind": "BindPublicIp",
        "reassign": "Reassign",
    }
    notes = {
        "": "release 3.1.143 was used, not the newest.",
        **dict.fromkeys(
            ("examples: progress", "examples: bind", "calls: progress", "calls: bind"),
            "through the SDK's core: the Kafka package of this release has no method for the call",
        ),
    }

    def prepare(self, samples: Mapping[str, str]) -> dict[str, str]:
        self.copied()
        shutil.copy(ROOT / "interop" / "java" / "Interop.java", self.work / "src/main/java")
        built(["mvn", "-B", "-q", "compile"], self.work, JAVA_TOOL_OPTIONS="")
        for label, text in samples.items():
            folder = self.work / label
            folder.mkdir()
            (folder / "ShowBackgroundTaskSolution.java").write_text(text, "utf-8")
            source = folder / "ShowBackgroundTaskSolution.java"
            compiler: list[str | Path] = ["javac", "-encoding", "UTF-8", "-cp", self._classpath]
            built([*compiler, "-d", folder, source], self.work, JAVA_TOOL_OPTIONS="")
        release = built(["javac", "-version"], self.work, JAVA_TOOL_OPTIONS="").split()[-1]
        return {"Java": release, **self._packages()}

    @property
    def _classpath(self) -> str:
        return (self.work / "target" / "classpath").read_text("utf-8").strip()

    def _packages(self) -> dict[str, str]:
        jars = [Path(jar).stem for jar in self._classpath.split(os.pathsep)]
        ours = sorted((jar for jar in jars if jar.startswith("huaweicloud-sdk-")), reverse=True)
        return {name: version for name, _, version in (jar.rpartition("-") for jar in ours)}

    def _java(self, folder: str | Path, main: str) -> list[str | Path]:
        return ["java", "-cp", f"{folder}{os.pathsep}{self._classpath}", main]

    def program(self) -> list[str | Path]:
        return self._java(self.work / "target" / "classes", "Interop")

    def example(self, call: str) -> list[str | Path]:
        return self._java(self.work / "target" / "classes", self.examples[call])

    def sample(self, label: str) -> list[str | Path]:
        return self._java(self.work / label, "com.huaweicloud.sdk.test.ShowBackgroundTaskSolution")


class Go(Language):
    name, title = "go", "Go"
    examples = {name: name for name in ("show", "list", "progress", "bind", "reassign")}
    notes = {
        "": (
            "the page's sample uses `os` without importing it and doesn't compile as printed"
            " (`undefined: os`); the harness adds that one line."
        )
    }

    def adapted(self, text: str) -> str:
        return page.with_import(text, "os")

    def prepare(self, samples: Mapping[str, str]) -> dict[str, str]:
        self.copied()
        programs = {"interop": (ROOT / "interop" / "go" / "main.go").read_text("utf-8"), **samples}
        for label, text in programs.items():
            folder = self.work / label
            folder.mkdir()
            (folder / "main.go").write_text(text, "utf-8")
        (self.work / "bin").mkdir()
        built(["go", "build", "-o", "bin/", "./..."], self.work)
        package = "github.com/huaweicloud/huaweicloud-sdk-go-v3"
        version = built(["go", "list", "-m", "-f", "{{.Version}}", package], self.work).strip()
        go = built(["go", "env", "GOVERSION"], self.work).strip().removeprefix("go")
        return {"Go": go, "huaweicloud-sdk-go-v3": version.removeprefix("v")}

    def program(self) -> list[str | Path]:
        return [self.work / "bin" / "interop"]

    def example(self, call: str) -> list[str | Path]:
        return [self.work / "bin" / call]

    def sample(self, label: str) -> list[str | Path]:
        return [self.work / "bin" / label]


class NodeJs(Language):
    name, title = "nodejs", "Node.js"
    has_page_sample = False
    has_regions_file = False
    finds_endpoint = False
    notes = {
        "": (
            "the Kafka package, 3.1.215, asks for a core `^3.1.215`; core 3.1.211 was used. That"
            " core needs `uuid` without saying so. The SDK reads no endpoint from the environment:"
            " our programs give it."
        )
    }
    examples = {name: f"{name}.js" for name in ("show", "list", "progress", "bind", "reassign")}

    def prepare(self, samples: Mapping[str, str]) -> dict[str, str]:
        self.copied(kept=("node_modules",))
        shutil.copy(ROOT / "interop" / "nodejs" / "interop.js", self.work)
        wanted = (self.work / "package-lock.json").read_bytes()
        stamp = self.work / "node_modules" / ".installed-lock"
        if not stamp.exists() or stamp.read_bytes() != wanted:
            built(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], self.work)
            stamp.write_bytes(wanted)
        node = built(["node", "--version"], self.work).strip().removeprefix("v")
        return {"Node.js": node, **dict(map(self._version, ("kafka", "core")))}

    def _version(self, part: str) -> tuple[str, str]:
        name = f"@huaweicloud/huaweicloud-sdk-{part}"
        package = json.loads((self.work / "node_modules" / name / "package.json").read_text())
        return name, package["version"]

    def program(self) -> list[str | Path]:
        return ["node", self.work / "interop.js"]

    def example(self, call: str) -> list[str | Path]:
        return ["node", self.work / self.examples[call]]


LANGUAGES: tuple[Language, ...] = (Python(), Java(), Go(), NodeJs())
