"""A program beside the measurement that is ordered by lines and answers each with a line of JSON."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Callable
from typing import Any

from scripts.benchmarks.part import BenchError


class Program:
    """What it is told, and what it answers. ``why`` tells of one that has ended what became of it."""

    def __init__(self, process: subprocess.Popen[bytes], why: Callable[[], str]) -> None:
        self.process = process
        self._why = why

    def order(self, line: bytes) -> dict[str, Any]:
        """Order something, and wait for what it answers. Raises BenchError."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(line + b"\n")
            self.process.stdin.flush()
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """What it says next. Raises BenchError when it has ended."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise BenchError(self._why())
        answer: dict[str, Any] = json.loads(line)
        return answer

    def end(self) -> None:
        """Order nothing more: it ends by that."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
