"""Programs in processes of their own, and work that is killed at each of its steps in turn."""

import subprocess
import sys

PRELUDE = '''
import json, os, shutil, signal, sys, time
from pathlib import Path
from sqlalchemy import event
from metaloom_registry import Manifest, Parent, Registry, parse_type

def accept(manifest, files): pass

def publish(registry, name, content, **fields):
    files = {"content": content}
    manifest = Manifest.of("graph", parse_type("int -> int"), files, **fields)
    return registry.publish(name, manifest, files)

def copies_of(folder):
    """What opens the n-th copy of the registry in `folder`, `hub0`, `hub1` and so on beside it."""
    def opened(n):
        copy = folder.parent / f"hub{n}"
        shutil.copytree(folder, copy)
        return Registry.open(copy, validate=accept)
    return opened

def killed_at_every_step(opened, work, owner, calls, statements=True):
    """Do the work, killed at its first step, then at its second, until it ends; say how often.

    `opened(n)` gives the registry of the n-th try and `work(registry, n)` uses it.  Its steps are
    the calls of functions of `owner`, all commits and, unless False, all statements.
    """
    n = 0
    while True:
        child = os.fork()
        if child == 0:
            registry, left = opened(n), n
            def step(*arguments, **options):
                nonlocal left
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            for name in calls:
                real = getattr(owner, name)
                setattr(owner, name, lambda *a, real=real, **o: (step(), real(*a, **o))[1])
            if statements:
                event.listen(registry.database.engine, "before_cursor_execute", step)
            event.listen(registry.database.engine, "commit", step)
            work(registry, n)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        n += 1
        if not os.WIFSIGNALED(status):
            assert os.WEXITSTATUS(status) == 0
            break
    print(n)
'''


def start(program: str, *arguments: object) -> "subprocess.Popen[str]":
    """A process that runs a program after the prelude."""
    command = [sys.executable, "-c", PRELUDE + program, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def tries(program: str, *arguments: object) -> int:
    """How many tries a program took that ends with `killed_at_every_step`; all but one died."""
    process = start(program, *arguments)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    return int(output)
