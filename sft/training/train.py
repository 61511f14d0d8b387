"""Training runs one after the other, and merging, by `axolotl` as a child process."""

import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from its import manifest

from ..data import record as records
from ..errors import AxolotlError, DataError
from . import environment
from .fingerprint import config_sha256


def train_all(
    configs: Sequence[Path], launcher: Sequence[str], console: Console,
    overrides: Mapping[str, str] | None = None,
) -> None:  # fmt: skip
    """Train by each file in turn; those that are done are left out.

    `overrides` are keys of the files with other values, as Axolotl takes them on its command line.

    Raises:
        AxolotlError: one failed; those after it were not begun.
    """
    changed = [f"--{key.replace('_', '-')}={value}" for key, value in (overrides or {}).items()]
    for number, config in enumerate(configs, 1):
        place = f"[{number}/{len(configs)}]"
        if done(config, overrides):
            console.print(f"{place} {config}: done before", markup=False, style="dim")
            continue
        content = {**_content(config), **(overrides or {})}
        _check_base(config, str(content.get("base_model") or ""))
        environment.check(environment.axolotl(), config, content)
        # Ray starts the processes: Axolotl's launchers would each start a driver of their own.
        started = list(launcher) or (["--launcher", "python"] if content.get("use_ray") else [])
        _run(["train", str(config), *changed, *started], f"{place} ", console)
        if not done(config, overrides):
            if any(word.startswith("--nnodes") for word in launcher):
                continue  # another machine may not have written it yet
            raise AxolotlError(
                f"{config}: ended without a manifest in its output_dir; is"
                " sft.training.plugin.InputTimePlugin among its plugins?"
            )


def merge(config: Path, console: Console) -> Path:
    """Merge the adapter that `config` trained into its base; return the folder.

    Raises:
        AxolotlError: there is no adapter, or merging failed.
        ManifestError: the adapter's manifest is broken.
    """
    content = _content(config)
    output = Path(str(content["output_dir"]))
    if not content.get("adapter"):
        raise AxolotlError(f"{config}: trains no adapter; {output} is the whole model already")
    if not (output / manifest.NAME).is_file():
        raise AxolotlError(f"{output}: has no {manifest.NAME}; train first: its-sft train {config}")
    words = [f"--lora-model-dir={output}", _base_of(output)]
    _run(["merge-lora", str(config), *words], "", console)
    merged = output / manifest.MERGED
    # Axolotl's plugin writes it too; whoever merges without the plugin still gets it from here.
    shutil.copyfile(output / manifest.NAME, merged / manifest.NAME)
    return merged


def merge_into(config: Path, adapter: Path, folder: Path, console: Console) -> Path:
    """Merge a saved epoch's adapter into its base, below `folder`; return the merged one.

    Raises:
        AxolotlError: merging failed.
        ManifestError: the adapter's manifest is missing or broken.
    """
    words = [f"--lora-model-dir={adapter}", _base_of(adapter), f"--output-dir={folder}"]
    _run(["merge-lora", str(config), *words], "", console)
    merged = folder / manifest.MERGED
    shutil.copyfile(adapter / manifest.NAME, merged / manifest.NAME)
    return merged


def _base_of(adapter: Path) -> str:
    """Return the option that names the adapter's base: `train --base-model` may have changed it."""
    return f"--base-model={manifest.read(adapter).base_model}"


def done(config: Path, overrides: Mapping[str, str] | None = None) -> bool:
    """Tell whether the training by these very settings, on the data as they are now, has ended."""
    content = {**_content(config), **(overrides or {})}
    output = Path(str(content["output_dir"]))
    try:
        found = manifest.read(output / manifest.NAME)
    except manifest.ManifestError:
        return False
    same = found.train.config_sha256 == config_sha256(content)
    return same and _ended(content, found.train) and not _built_anew(content, found.train.dataset)


def _ended(content: Mapping[str, Any], train: manifest.Train) -> bool:
    """Tell a training's last manifest from that of a push: only pushes put one there early."""
    limited = content.get("max_steps") or content.get("early_stopping_patience")
    if not content.get("hub_model_id") or limited:
        return True
    return (train.epochs or 0.0) >= float(content.get("num_epochs") or 1) - 0.01


def _built_anew(content: Mapping[str, Any], trained_on: manifest.Dataset | None) -> bool:
    """Tell whether a training file's data are not those of the checkpoint; gone ones are."""
    try:
        now = records.read(Path(content["datasets"][0]["path"]).parent).train.dataset
    except (DataError, LookupError, TypeError):
        return False
    return now is not None and trained_on is not None and now.sha256 != trained_on.sha256


def _content(config: Path) -> dict[str, object]:
    try:
        content = yaml.safe_load(config.read_text("utf-8"))
        if not isinstance(content.get("output_dir"), str):
            raise AxolotlError(f"{config}: output_dir: is missing")
    except (OSError, AttributeError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise AxolotlError(f"{config}: {error}") from error
    return dict(content)


def _check_base(config: Path, base: str) -> None:
    """Hold a base model that is a folder to be there.

    Raises:
        AxolotlError: it is not, or none is named.
    """
    if not base:
        raise AxolotlError(f"{config}: base_model: is missing")
    local = base.startswith(("/", "./", "../", "~", "models/")) or base.count("/") > 1
    if local and not (Path(base).expanduser() / "config.json").is_file():
        raise AxolotlError(
            f"{config}: base_model: {base} is no folder with a model; make it with `its-sft convert"
            f" FILE.gguf {base}`, or name another with --base-model"
        )


def _run(args: Sequence[str], place: str, console: Console) -> None:
    program = environment.axolotl()
    console.print(f"{place}axolotl {shlex.join(args)}", markup=False, style="bold")
    ended = subprocess.run([program, *args], env=environment.variables(program), check=False)
    if ended.returncode != 0:
        raise AxolotlError(f"axolotl {args[0]} {args[1]} ended with {ended.returncode}")
