"""The training files themselves: rendered from a recipe, with what they name beside them."""

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from pathlib import Path

from .estimates import Estimate
from .recipes import Recipe


def supply(folder: Path) -> None:
    """Put what the files name beside them, where it is not: templates and DeepSpeed's settings.

    Raises:
        OSError: the folder cannot be written.
    """
    for name in ("templates", "deepspeed"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for file in (files("sft") / name).iterdir():
            if not (folder / name / file.name).exists():
                (folder / name / file.name).write_bytes(file.read_bytes())


def write(recipes: Iterable[Recipe], folder: Path) -> list[Path]:
    """Write the recipes' files into `folder`, and what they name; return the files.

    Raises:
        OSError: the folder cannot be written.
    """
    supply(folder)
    written = []
    for recipe in recipes:
        written.append(folder / f"{recipe.name}.yml")
        written[-1].write_text(render(recipe), "utf-8")
    return written


def render(recipe: Recipe) -> str:
    """Return the whole file."""
    text: str = _template().render(
        recipe=recipe, hyper=recipe.hyperparameters, hardware=recipe.hardware,
        estimate=Estimate(recipe),
    )  # fmt: skip
    return text


@cache
def _template():  # type: ignore[no-untyped-def]  # jinja2 is an extra
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters["commas"] = "{:,.0f}".format
    environment.filters["rate"] = lambda rate: f"{rate:.1e}".replace("e-0", "e-")
    environment.filters["quoted"] = lambda text: "'" + text.replace("'", "''") + "'"
    environment.filters["gb"] = lambda size: f"{size / 1e9:,.0f} GB"
    return environment.from_string((files(__package__) / "recipe.yml.jinja").read_text("utf-8"))
