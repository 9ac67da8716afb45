"""Outside: files and variables of the environment that the configuration names, and whether they are there."""

from __future__ import annotations

import os
from pathlib import Path

from callcenter.config.explain import KeyPath, dotted
from callcenter.config.problems import Code, Problems
from callcenter.config.tree import Node

UNSET = "without it the switch does not start: set it where the switch is started"


class Outside:
    """Looks for what stands in no YAML file, from the folder of these files; what is not there is noted."""

    def __init__(self, root: Node, folder: Path, problems: Problems) -> None:
        self.folder = folder
        self._root = root
        self._problems = problems

    def writes(self, section: str) -> bool:
        """Whether anything stands in a section."""
        found = self._root.child(section)
        return found is not None and isinstance(found.node.value, dict) and bool(found.node.value)

    def file(self, path: KeyPath, what: str = "it") -> Path | None:
        """A file named in the configuration, found from its folder; noted when it is not there."""
        node: Node = self._root
        for step in path:
            entry = node.child(step)
            if entry is None or entry.node.value is None:
                return None
            node = entry.node
        if not isinstance(node.value, str):
            self.problem(Code.TYPE, path, "the name of a file belongs here", "write e.g. customers.csv")
            return None
        file = self.folder / Path(node.value).expanduser()
        if file.is_file() and os.access(file, os.R_OK):
            return file
        state = "cannot be read" if os.path.exists(file) else "is not there"
        hint = f"{what} is looked for from {self.folder}"
        self.problem(Code.FILE, path, f"the file `{node.value}` {state}", hint)
        return None

    def variable(self, path: KeyPath, variable: str | None, hint: str = UNSET) -> None:
        """Warn of a variable that is not set: the one who checks may not be the one who runs."""
        if variable and not os.environ.get(variable):
            self._problems.add(
                Code.UNSET,
                self._root.place_of(path),
                dotted(path),
                f"the environment has no {variable}",
                hint,
                warning=True,
            )

    def problem(self, code: Code, path: KeyPath, message: str, hint: str) -> None:
        """Note what keeps the switch from starting."""
        self._problems.add(code, self._root.place_of(path), dotted(self._root.existing(path)), message, hint)
