"""A trained checkpoint as a GGUF file with its manifest: what the embedded engine serves."""

import shutil
from pathlib import Path
from typing import Any

from rich.console import Console

from its import manifest
from its.extras import installed, needs

from ..errors import CheckpointError


def export(checkpoint: Path, file: Path, quantize: str, console: Console) -> None:
    """Write the checkpoint in the folder `checkpoint` to `file`, and its manifest beside it.

    `quantize` is `f16` or `q8_0`. Nothing half is left: the file appears when it is whole.

    Raises:
        CheckpointError: it is no such checkpoint, or the manifest would be another model's.
    """
    missing = [name for name in ("gguf", "transformers") if not installed(name)]
    if missing:
        raise CheckpointError(needs("its-sft export", "sft"))
    _whole(checkpoint)
    known = _manifest(checkpoint)
    _fits(known, file)
    part = file.with_name(file.name + ".part")
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        _write(checkpoint, part, quantize)
        if _differs(known, file):  # a crash must not leave new weights beside an old promise
            (file.parent / manifest.NAME).unlink()
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    size = f"{file.stat().st_size / 1e6:,.0f} MB, {quantize}"
    if known is None:
        console.print(
            f"{file}: {size}. {checkpoint} has no {manifest.NAME}, so the proxy cannot check how"
            " the model was trained",
            style="yellow", markup=False,
        )  # fmt: skip
        return
    shutil.copyfile(known, file.parent / manifest.NAME)
    console.print(f"{file}: {size}, with its {manifest.NAME}", style="green", markup=False)


def _whole(folder: Path) -> None:
    """Hold `folder` to be a whole model.

    Raises:
        CheckpointError: it is an adapter, or no model at all.
    """
    if (folder / "adapter_config.json").is_file():
        raise CheckpointError(
            f"{folder}: is an adapter; merge it with `its-sft merge FILE`, where FILE is its"
            f" training file, and export {folder / manifest.MERGED}"
        )
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"{folder}: has no config.json; give the folder of a checkpoint")


def _manifest(checkpoint: Path) -> Path | None:
    path = checkpoint / manifest.NAME
    if not path.is_file():
        return None
    manifest.read(path)  # a broken one must not be passed on
    return path


def _fits(known: Path | None, file: Path) -> None:
    """A folder has one manifest, which is then true of every file in it.

    A file that is alone there may be replaced, by another training's too.

    Raises:
        CheckpointError: another model's manifest is there, or a model without one.
    """
    others = sorted(other.name for other in file.parent.glob("*.gguf") if other.name != file.name)
    there = file.parent / manifest.NAME
    if known is not None and others and not there.is_file():
        raise CheckpointError(
            f"{file.parent}: has {', '.join(others)} without {manifest.NAME}, and this one's would"
            " count for it too; write it into a folder of its own (--gguf FOLDER/NAME.gguf)"
        )
    replaced = file.exists() and not others
    if not replaced and _differs(known, file):
        raise CheckpointError(
            f"{there}: is the manifest of another checkpoint; write this one into a folder of its"
            " own (--gguf FOLDER/NAME.gguf)"
        )


def _differs(known: Path | None, file: Path) -> bool:
    """Tell whether the manifest beside `file` is another one than `known`."""
    there = file.parent / manifest.NAME
    return there.is_file() and (known is None or known.read_bytes() != there.read_bytes())


def _write(checkpoint: Path, part: Path, quantize: str) -> None:
    from gguf import MODEL_ARCH_NAMES, GGUFWriter, LlamaFileType
    from transformers import AutoConfig

    from . import gguf_model, gguf_vocabulary

    try:
        config = AutoConfig.from_pretrained(checkpoint)
        family = gguf_model.family_of(config)
        tokenizer = _tokenizer(checkpoint)
        writer = GGUFWriter(part, MODEL_ARCH_NAMES[family.arch])
        writer.add_name(checkpoint.resolve().name)
        writer.add_quantization_version(2)
        kind = LlamaFileType.MOSTLY_Q8_0 if quantize == "q8_0" else LlamaFileType.MOSTLY_F16
        writer.add_file_type(kind)
        gguf_model.add_parameters(writer, config)
        gguf_vocabulary.add(writer, checkpoint, tokenizer, config.vocab_size, _ends(checkpoint))
        _write_tensors(writer, list(gguf_model.tensors(checkpoint, config, family)), quantize)
    except (OSError, ValueError) as error:
        raise CheckpointError(str(error)) from error


def _write_tensors(writer: Any, tensors: list[Any], quantize: str) -> None:
    """Write the header, and then one tensor after the other, so that one at a time is held."""
    from . import gguf_model

    kinds = [gguf_model.kind_of(tensor, quantize) for tensor in tensors]
    for tensor, kind in zip(tensors, kinds, strict=True):
        gguf_model.announce(writer, tensor, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for tensor, kind in zip(tensors, kinds, strict=True):
        writer.write_tensor_data(gguf_model.stored(tensor, kind))
    writer.close()


def _tokenizer(checkpoint: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(checkpoint)


def _ends(checkpoint: Path) -> list[int]:
    """Return the tokens that end an answer, as generation_config.json says."""
    from transformers import GenerationConfig

    if not (checkpoint / "generation_config.json").is_file():
        return []
    found = GenerationConfig.from_pretrained(checkpoint).eos_token_id
    if found is None:
        return []
    return [found] if isinstance(found, int) else list(found)
