"""The steps of the Dockerfile, carried out in a folder that stands for the image's file system.

    python .ci/dockerfile.py FOLDER

For machines without a container engine.  Every absolute path of the Dockerfile lies under FOLDER:
those of ARG and ENV by their values, those of WORKDIR and COPY by their arguments.  A RUN line runs
as it stands, so it has to name absolute paths through ARG or ENV.  USER is not changed.  At the end
the image's own command runs.  Only what the Dockerfile uses is understood; the rest is an error.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

OURS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")  # of this process, not of the image


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """The instructions of a Dockerfile: the word in capitals, and the rest of the logical line."""
    kept = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in re.sub(r"\\\n", " ", kept).splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            yield word.upper(), rest.strip()


def is_sent(path: str, patterns: list[str]) -> bool:
    """Whether .dockerignore lets a path of the context through; its last match decides."""
    sent = True
    parents = [path, *map(str, Path(path).parents)]
    for pattern in patterns:
        bare = pattern.removeprefix("!").removeprefix("**/")
        anywhere = "**/" in pattern
        if any(fnmatch(p, bare) or (anywhere and Path(p).name == bare) for p in parents):
            sent = pattern.startswith("!")
    return sent


class Image:
    """The folder that stands for the image, and what the instructions so far have set."""

    def __init__(self, root: Path, context: Path) -> None:
        self.root, self.context = root, context
        self.environment = {k: v for k, v in os.environ.items() if k not in OURS}
        self.folder = root
        self.entrypoint: list[str] = []
        self.command: list[str] = []
        ignored = (context / ".dockerignore").read_text().splitlines()
        self.patterns = [line.strip() for line in ignored if line.strip()]

    def carry_out(self, word: str, rest: str) -> None:
        """One instruction. Raises ValueError on one that is not understood."""
        if word in ("ARG", "ENV"):
            for setting in shlex.split(rest):
                name, given, value = setting.partition("=")
                if given:
                    self.environment[name] = self._under_root(self._expanded(value))
        elif word == "WORKDIR":
            self.folder = Path(self._under_root(self._expanded(rest)))
            self.folder.mkdir(parents=True, exist_ok=True)
        elif word == "COPY" and not rest.startswith("--"):
            *sources, target = shlex.split(self._expanded(rest))
            for source in sources:
                self._copy(source, self.folder / target, into=target.endswith("/"))
        elif word == "RUN":
            self._run(["sh", "-c", rest])
        elif word == "ENTRYPOINT":
            self.entrypoint = json.loads(rest)
        elif word == "CMD":
            self.command = json.loads(rest)
        elif word not in ("FROM", "USER"):
            raise ValueError(f"{word} {rest}: this script does not understand it; teach it")

    def start(self) -> None:
        """Run the image's own command."""
        self._run([*self.entrypoint, *self.command])

    def _run(self, command: list[str]) -> None:
        found = shutil.which(command[0], path=self.environment["PATH"])
        subprocess.run(
            [found or command[0], *command[1:]],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            check=True,
        )

    def _copy(self, source: str, target: Path, *, into: bool) -> None:
        """Copy a file or the contents of a folder, less what .dockerignore keeps out."""
        origin = self.context / source
        if not origin.exists():
            raise ValueError(f"COPY {source}: there is no such file in the context")
        folder = origin.is_dir()
        files = [p for p in origin.rglob("*") if p.is_file()] if folder else [origin]
        sent = [p for p in files if is_sent(str(p.relative_to(self.context)), self.patterns)]
        if not sent:
            raise ValueError(f"COPY {source}: .dockerignore keeps all of it out")
        for path in sent:
            place = target / (path.relative_to(origin) if folder else path.name if into else "")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)

    def _expanded(self, text: str) -> str:
        return re.sub(r"\$\{?(\w+)\}?", lambda m: self.environment.get(m[1], ""), text)

    def _under_root(self, value: str) -> str:
        """An absolute path of the image as one under the folder; anything else as it is."""
        outside = value.startswith("/") and not value.startswith(str(self.root))
        return str(self.root / value.lstrip("/")) if outside else value


def main() -> None:
    root, context = Path(sys.argv[1]).resolve(), Path(__file__).resolve().parent.parent
    image = Image(root, context)
    for word, rest in instructions((context / "Dockerfile").read_text()):
        sys.stdout.write(f"--- {word} {rest}\n")
        sys.stdout.flush()
        image.carry_out(word, rest)
    image.start()


if __name__ == "__main__":
    main()
