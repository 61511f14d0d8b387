"""The commands around a checkpoint: choosing one, writing it as other files, describing it."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from its.cli import finite, note_console

from ..cli import CLI
from ..errors import CheckpointError
from ..training import environment
from .options import ERRORS


class Dtype(StrEnum):
    """The precision of the written weights."""

    bfloat16 = "bfloat16"
    float32 = "float32"


class Quantize(StrEnum):
    """How the weights of a GGUF file are kept."""

    f16 = "f16"
    q8_0 = "q8_0"


def export(
    checkpoint: Annotated[Path, typer.Argument(help="The folder of a whole checkpoint.")],
    gguf: Annotated[Path, typer.Option(metavar="FILE", help="The file that is made.")],
    quantize: Annotated[
        Quantize, typer.Option(help="f16 is exact enough to compare; q8_0 is half as large.")
    ] = Quantize.f16,
) -> None:
    """Write a checkpoint as a GGUF file, which `embedded = FILE` serves on a laptop.

    For the Llama, Qwen2 and Qwen3 families. The manifest is copied beside it, so that
    `manifest = FOLDER` tells the proxy how the model was trained.
    """
    from ..checkpoints.export import export as exported

    with CLI.one_line_errors(*ERRORS):
        exported(checkpoint, gguf, quantize.value, Console(stderr=True, soft_wrap=True))


def select(
    target: Annotated[
        Path, typer.Argument(metavar="FILE|DIR", help="A training file, or its output_dir.")
    ],
    held_out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="heldout.jsonl, if not beside FILE's data.")
    ] = None,
    served: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CHECKPOINT=URL[#MODEL]",
            help="An engine that serves an epoch, up to /v1; else it is exported and served here.",
        ),
    ] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest answer.")] = 1024,
    temperature: Annotated[
        float, typer.Option(min=0, callback=finite, help="0 takes the likeliest token.")
    ] = 0.0,
    samples: Annotated[int, typer.Option(min=1, help="Answers asked for each question.")] = 1,
    concurrency: Annotated[int, typer.Option(min=1, help="Calls at the same time.")] = 8,
    quantize: Annotated[Quantize, typer.Option(help="Of epochs that are served here.")] = (
        Quantize.f16
    ),
) -> None:
    """Ask every saved epoch for the held-out questions, each as it was trained, and name the best.

    Epochs are served one after the other on the CPU, or where --served says. Asked is behind the
    proxy, which takes strategy and layout from each epoch's manifest. Held-out rows are of the
    training set: they choose among epochs, and say nothing about AIME.
    """
    from ..checkpoints.select import Asking
    from ..checkpoints.select import select as selected

    engines = dict(each.partition("=")[::2] for each in served or [])
    if wrong := [name for name, url in engines.items() if "://" not in url]:
        CLI.fail(
            f"--served {wrong[0]}: must be CHECKPOINT=URL, as in checkpoint-60=http://HOST:30000/v1"
        )
    asking = Asking(engines, max_tokens, temperature, samples, concurrency, quantize.value)
    inner = CLI.one_line_errors(CheckpointError, status=1)  # the run failed; the command was right
    with CLI.one_line_errors(*ERRORS), inner:
        best = selected(target, held_out, asking, Console(stderr=True, soft_wrap=True))
    print(best)


def convert(
    model: Annotated[Path, typer.Argument(help="A GGUF file, as `its-proxy model NAME` has them.")],
    out: Annotated[Path, typer.Argument(help="The folder that is made.")],
    dtype: Annotated[Dtype, typer.Option(help="Of the weights.")] = Dtype.bfloat16,
) -> None:
    """Make the folder that trainers want from a GGUF file: weights, tokenizer, template, checked.

    Needs torch and gguf (make train-env). Weights of four bits stay as coarse as they are.
    """
    environment.borrow("torch", "gguf", "transformers")
    from ..checkpoints.convert import convert as converted

    with CLI.one_line_errors(*ERRORS):
        converted(model, out, dtype.value)


def card(
    checkpoint: Annotated[Path, typer.Argument(help="The folder of a checkpoint.")],
    licence: Annotated[
        str | None, typer.Option(metavar="ID", help="Of the weights, as the hub names it.")
    ] = None,
) -> None:
    """Write the checkpoint's README.md, the hub's model card, from its manifest.

    It says how the model was trained and how to ask it. A README.md that somebody else wrote is
    left alone, except Axolotl's own.
    """
    from ..checkpoints.model_card import write

    with CLI.one_line_errors(*ERRORS):
        file = write(checkpoint, licence)
    note_console().print(f"{file} written", style="green", markup=False)
