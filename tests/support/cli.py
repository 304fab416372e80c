"""The command line as its users have it: its output and its exit codes.

Starting a Python process costs more than most commands do, so a test that is not about processes, signals or terminals
runs its commands in this one (`call`).
"""

import contextlib
import io
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

from coordinator.cli.main import main

ROOT = Path(__file__).parents[2]
PROGRAM = (sys.executable, "-m", "coordinator")
# Runs a program with a terminal of its own, whose keyboard is our stdin.
ON_A_TERMINAL = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])) % 256)"


class Cli:
    """Starts commands on one namespace, and ends those that are left over."""

    def __init__(self, url: str, namespace: str) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("COORDINATOR_")}
        self.env = {
            **clean,
            "COORDINATOR_URL": url,
            "COORDINATOR_NAMESPACE": namespace,
            "PYTHONPATH": str(ROOT),
            "NO_COLOR": "1",
            # Narrow, so that a line that is wrapped on its way into a pipe fails whatever test looks at it.
            "COLUMNS": "40",
        }
        self._started: list[subprocess.Popen[str]] = []

    def start(self, *words: str, terminal: bool = False) -> "subprocess.Popen[str]":
        """A command that goes on by itself."""
        program = (sys.executable, "-c", ON_A_TERMINAL, *PROGRAM) if terminal else PROGRAM
        process = subprocess.Popen(
            [*program, *words],
            env=self.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._started.append(process)
        return process

    def run(self, *words: str, stdin: str = "", **env: str) -> "subprocess.CompletedProcess[str]":
        """A command until its end."""
        return subprocess.run(
            [*PROGRAM, *words],
            env={**self.env, **env},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=40,
            check=False,
        )

    def call(self, *words: str, stdin: str = "", **env: str) -> "subprocess.CompletedProcess[str]":
        """A command in this process, as if in one of its own."""
        out, err, log = io.StringIO(), io.StringIO(), logging.getLogger("coordinator")
        level = log.level
        with (
            mock.patch.dict(os.environ, {**self.env, **env}, clear=True),
            mock.patch.object(sys, "stdin", io.StringIO(stdin)),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = main(words)
        log.setLevel(level)
        return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())

    def json(self, *words: str) -> Any:
        """What a command prints with --json."""
        done = self.call(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def close(self) -> None:
        """End what still runs."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()
