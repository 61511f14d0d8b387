"""The process that holds the library `reasoning-gym`: `python -P -m eval.tasks.gym_child`.

One JSON request a line on standard input, one JSON answer a line on standard output. A process of
its own, for three reasons: the library imports all its tasks at once, and so every package that
one of them needs, such as pycosat, which needs a compiler; some tasks depend on Python's hash seed,
which is fixed here; and verifiers run on what a model wrote, with `eval` and
`sympy.parse_expr`, which would run any Python.
"""

import ast
import importlib
import importlib.util
import json
import os
import random
import re
import resource
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

LIBRARY = "reasoning_gym"
KEPT_WHOLE = ("data", "coaching")
"""Packages of the library that are imported as they are; the others are left empty."""

VERDICT_SECONDS = 5
"""CPU time of one verdict: `9**9**9**9` is a valid answer of countdown."""

MEMORY = 4 << 30

LITERAL = {"string_insertion", "spiral_matrix", "number_sorting", "binary_matrix", "n_queens"}
"""Tasks whose verifier calls `eval` on an answer, to read a list: here it reads literals only."""

PARSED = {
    *("countdown", "puzzle24", "simple_integration", "intermediate_integration"),
    "polynomial_multiplication",
}
"""Tasks whose verifier gives the answer to `sympy.parse_expr`, which evaluates Python."""

_FUNCTIONS = {
    *("sin", "cos", "tan", "sec", "csc", "cot", "asin", "acos", "atan", "sinh", "cosh", "tanh"),
    *("exp", "log", "ln", "sqrt", "Abs", "pi"),
}
_NAME = re.compile(r"[^\W\d]\w*")
_FORMULA = re.compile(r"[\w\s+\-*/^().,]*")


def harmless(answer: str) -> bool:
    """Tell whether an answer is a formula: no quotes, no attributes, no names but mathematical."""
    if not _FORMULA.fullmatch(answer) or "__" in answer or re.search(r"\.\s*[^\W\d]", answer):
        return False
    return all(len(name) == 1 or name in _FUNCTIONS for name in _NAME.findall(answer))


def place_of_library() -> Path:
    """Return the library's folder.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    found = importlib.util.find_spec(LIBRARY)
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError(f"No module named {LIBRARY!r}", name=LIBRARY)
    return Path(found.submodule_search_locations[0])


def modules(root: Path) -> dict[str, str]:
    """Return the module of each task, found in the library's text: nothing is imported."""
    names = {}
    for file in sorted(root.rglob("*.py")):
        if named := re.search(r'^DATASET_NAME = "(\w+)"', file.read_text("utf-8"), re.MULTILINE):
            names[named[1]] = ".".join((LIBRARY, *file.relative_to(root).with_suffix("").parts))
    return {**names, "composite": f"{LIBRARY}.composite"}


def prepare() -> dict[str, str]:
    """Make the library's packages importable one module at a time; return the tasks' modules.

    The packages' own `__init__` would import all tasks, so empty packages take their place.
    """
    root = place_of_library()
    found = modules(root)
    folders = [path for path in root.iterdir() if path.is_dir() and path.name not in KEPT_WHOLE]
    for name, place in ((LIBRARY, root), *((f"{LIBRARY}.{path.name}", path) for path in folders)):
        package = ModuleType(name)
        package.__path__ = [str(place)]
        sys.modules[name] = package
    importlib.import_module(f"{LIBRARY}.coaching")  # before `factory`, which it imports in a circle
    return found


class Gym:
    """The tasks; each data set is made once."""

    def __init__(self) -> None:
        self._modules = prepare()
        self._made: dict[str, Any] = {}
        self._entries: dict[tuple[str, int], dict[str, Any]] = {}

    def names(self) -> list[str]:
        """Return the names of all tasks."""
        return sorted(self._modules)

    def tasks(self) -> list[dict[str, Any]]:
        """Return name, category and what is missing of every task."""
        found = []
        for name, module in sorted(self._modules.items()):
            missing = None
            try:
                importlib.import_module(module)
            except ImportError as error:
                missing = error.name
            category = "composite" if name == "composite" else module.split(".")[1]
            found.append({"name": name, "category": category, "missing": missing})
        return found

    def rows(self, name: str, options: dict[str, Any], count: int) -> list[dict[str, Any]]:
        """Return the first `count` problems: `question`, `answer`, and the `task` each is of.

        Those of gsm_symbolic have their `template` and a worked `solution` as well.
        """
        data = self._data(name, options)
        found = []
        for index in range(count):
            entry = self._entry(data, name, options, index)
            about = entry.get("metadata", {})
            task = about.get("source_dataset", name)
            row = {"question": entry["question"], "answer": entry["answer"], "task": task}
            if solution := about.get("answer_cot"):
                row["solution"] = solution
            if name == "gsm_symbolic":
                row["template"] = data.task_indices[index]
            found.append(row)
        return found

    def score(
        self, name: str, options: dict[str, Any], index: int, question: str, answer: str | None
    ) -> dict[str, float]:
        """Return the `score` that the task's verifier gives an answer, 0 to 1.

        Nothing is returned if the problem is another one: the library was changed.
        """
        data = self._data(name, options)
        entry = self._entry(data, name, options, index)
        if entry["question"] != question:
            return {}
        task = entry.get("metadata", {}).get("source_dataset", name)
        if answer is None or (task in PARSED and not harmless(answer)):
            return {"score": 0.0}
        limit_cpu()
        try:
            return {"score": float(data.score_answer(answer, entry))}
        except Exception:  # a verifier that fails on an answer does not accept it
            return {"score": 0.0}

    def _data(self, name: str, options: dict[str, Any]) -> Any:
        key = json.dumps([name, options], sort_keys=True)
        if key not in self._made:
            self._made[key] = self._make(name, dict(options))
        return self._made[key]

    def _make(self, name: str, options: dict[str, Any]) -> Any:
        if name not in self._modules:
            raise LookupError(name)
        self._import(name)
        factory = importlib.import_module(f"{LIBRARY}.factory")
        templates = options.pop("templates", None)
        if name == "composite":
            options["datasets"] = self._parts(options.get("datasets") or [])
        known = {field.name for field in fields(factory.DATASETS[name][1])}
        if unknown := sorted(options.keys() - known):
            raise ValueError(f"no option {unknown[0]!r}; there are {', '.join(sorted(known))}")
        random.seed(options["seed"])
        data = factory.create_dataset(name, **options)
        if templates is not None:
            # Each template comes equally often; the library draws the number itself otherwise.
            data.task_indices = [templates[i % len(templates)] for i in range(options["size"])]
        return data

    def _parts(self, names: list[str]) -> list[Any]:
        spec = importlib.import_module(f"{LIBRARY}.composite").DatasetSpec
        for name in names:
            self._import(name)
        return [spec(name, 1.0, {}) for name in names]

    def _import(self, name: str) -> None:
        if name not in self._modules:
            raise LookupError(name)
        module = importlib.import_module(self._modules[name])
        if name in LITERAL:
            vars(module)["eval"] = ast.literal_eval  # a module's own name hides the builtin

    def _entry(self, data: Any, name: str, options: dict[str, Any], index: int) -> dict[str, Any]:
        key = json.dumps([name, options], sort_keys=True), index
        if key not in self._entries:
            random.seed(f"{options['seed']} {index}")  # some tasks draw from the shared generator
            self._entries[key] = data[index]
        return self._entries[key]


def limit_cpu() -> None:
    """Have the system end this process if one verdict takes too long: also inside C code."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + VERDICT_SECONDS
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def usable_templates() -> list[int]:
    """Return the numbers of the templates of gsm_symbolic that the library itself draws from."""
    module = importlib.import_module(f"{LIBRARY}.arithmetic.gsm_symbolic.gsm_symbolic")
    return list(module.tasks_ok)


def answer(gym: Gym, request: dict[str, Any]) -> Any:
    """Return the answer to one request."""
    wanted = request.pop("do")
    if wanted == "templates":
        return usable_templates()
    methods: dict[str, Callable[..., Any]] = {
        "tasks": gym.tasks, "rows": gym.rows, "score": gym.score,
    }  # fmt: skip
    return methods[wanted](**request)


def main() -> None:
    """Answer requests until standard input ends."""
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, hard))
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # the library prints
    gym = Gym()
    for line in sys.stdin:
        try:
            said = {"ok": answer(gym, json.loads(line))}
        except ImportError as error:
            said = {"missing": error.name or str(error)}
        except LookupError as error:
            said = {"unknown": str(error.args[0]), "names": gym.names()}
        except Exception as error:
            said = {"error": f"{type(error).__name__}: {error}"}
        out.write(json.dumps(said) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
