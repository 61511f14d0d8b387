"""The tensors and the hyper-parameters of a Hugging Face checkpoint, as llama.cpp wants them.

Only numpy is needed: weights are read from the safetensors files one at a time, so a model that
is larger than memory can be written.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf import MODEL_ARCH, GGMLQuantizationType, GGUFWriter, RopeScalingType, get_tensor_name_map
from gguf import quantize as quantized
from gguf.quants import quant_shape_to_byte_shape
from gguf.utility import LocalTensor, SafetensorsLocal

from ..errors import CheckpointError

INDEX, SINGLE = "model.safetensors.index.json", "model.safetensors"
BLOCK = 32
"""Values that share a scale in q8_0."""


@dataclass(frozen=True, slots=True)
class Family:
    """A model family: its name in GGUF, and whether llama.cpp turns Q and K in pairs."""

    arch: MODEL_ARCH
    paired: bool = False


FAMILIES = {
    "LlamaForCausalLM": Family(MODEL_ARCH.LLAMA, paired=True),
    "Qwen2ForCausalLM": Family(MODEL_ARCH.QWEN2),
    "Qwen3ForCausalLM": Family(MODEL_ARCH.QWEN3),
}


def family_of(config: Any) -> Family:
    """Return the family of a transformers configuration, if its models can be written.

    Raises:
        CheckpointError: it is another family, or uses what llama.cpp would compute otherwise.
    """
    names = list(config.architectures or [])
    family = next((FAMILIES[name] for name in names if name in FAMILIES), None)
    if family is None:
        raise CheckpointError(
            f"config.json: architectures: is {names}; those that can be exported are"
            f" {', '.join(FAMILIES)}"
        )
    for key, value, wanted in (
        ("hidden_act", config.hidden_act, "silu"),
        ("use_sliding_window", getattr(config, "use_sliding_window", False), False),
        ("quantization_config", getattr(config, "quantization_config", None), None),
        ("partial_rotary_factor", _rope(config).get("partial_rotary_factor", 1.0), 1.0),
    ):
        if value != wanted:
            raise CheckpointError(
                f"config.json: {key}: is {value!r}; only {wanted!r} can be exported"
            )
    return family


def add_parameters(writer: GGUFWriter, config: Any) -> None:
    """Add the hyper-parameters of `config`.

    Raises:
        CheckpointError: its rotary scaling is of a kind that is not known here.
    """
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    width = _head_width(config)
    writer.add_key_length(width)
    writer.add_value_length(width)
    writer.add_rope_dimension_count(width)
    rope = _rope(config)
    writer.add_rope_freq_base(float(rope["rope_theta"]))
    _add_scaling(writer, rope)


def _add_scaling(writer: GGUFWriter, rope: Mapping[str, Any]) -> None:
    """Add how positions beyond the pretrained length are scaled; `llama3` is a tensor instead."""
    kind = rope.get("rope_type", "default")
    if kind in ("default", "llama3"):
        return
    if kind == "linear":
        writer.add_rope_scaling_type(RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(float(rope["factor"]))
        return
    odd = {"attention_factor", "mscale", "mscale_all_dim", "truncate"} & {
        key for key, value in rope.items() if value is not None
    }
    if kind != "yarn" or odd:
        told = f"{kind!r} with {', '.join(sorted(odd))}" if odd else repr(kind)
        raise CheckpointError(
            f"config.json: rope_parameters: is {told}; default, linear, llama3 and plain yarn can"
            " be exported"
        )
    writer.add_rope_scaling_type(RopeScalingType.YARN)
    writer.add_rope_scaling_factor(float(rope["factor"]))
    writer.add_rope_scaling_orig_ctx_len(int(rope["original_max_position_embeddings"]))
    for key, add in (
        ("beta_fast", writer.add_rope_scaling_yarn_beta_fast),
        ("beta_slow", writer.add_rope_scaling_yarn_beta_slow),
    ):
        if rope.get(key) is not None:
            add(float(rope[key]))


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor under its GGUF name; its values are read when they are asked for."""

    name: str
    source: LocalTensor | None
    heads: int
    """Heads whose rows are reordered for llama.cpp's pairs; 0: none are."""
    made: np.ndarray[Any, Any] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape in Hugging Face's order: rows, columns."""
        found = self.made if self.made is not None else self.source
        assert found is not None
        return tuple(found.shape)

    def values(self) -> np.ndarray[Any, Any]:
        """Return the values in fp32.

        Raises:
            CheckpointError: the file keeps them in another type than f32, f16 or bf16.
        """
        if self.made is not None:
            return self.made
        assert self.source is not None
        values = _fp32(self.source, self.name)
        if not self.heads:
            return values
        # Hugging Face turns value i together with value i + half; llama.cpp's Llama turns
        # neighbours. Reordering the rows of Q and K makes the two the same.
        half = values.shape[0] // self.heads // 2
        split = values.reshape(self.heads, 2, half, *values.shape[1:])
        return np.ascontiguousarray(split.swapaxes(1, 2)).reshape(values.shape)


def tensors(folder: Path, config: Any, family: Family) -> Iterator[Tensor]:
    """Yield the tensors of the checkpoint in `folder` under their GGUF names.

    Raises:
        CheckpointError: there are no weights, one is not known, or one is missing.
    """
    names = get_tensor_name_map(family.arch, config.num_hidden_layers)
    found = _stored(folder)
    for name, source in sorted(found.items()):
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        if name.endswith("rotary_emb.inv_freq"):
            continue  # a buffer that old checkpoints saved; it follows from the parameters
        renamed = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if renamed is None:
            raise CheckpointError(f"{folder}: tensor {name}: {family.arch.name} has no such tensor")
        yield Tensor(renamed, source, _heads_of(name, config) if family.paired else 0)
    if "lm_head.weight" not in found and not config.tie_word_embeddings:
        raise CheckpointError(
            f"{folder}: lm_head.weight is missing, and tie_word_embeddings is false"
        )
    rope = _rope(config)
    if rope.get("rope_type") == "llama3":
        yield Tensor("rope_freqs.weight", None, 0, _llama3_factors(rope, _head_width(config)))


def kind_of(tensor: Tensor, quantize: str) -> GGMLQuantizationType:
    """Return how a tensor is stored: vectors stay fp32, as llama.cpp's own converter has it."""
    if len(tensor.shape) == 1:
        return GGMLQuantizationType.F32
    if quantize == "q8_0" and tensor.shape[-1] % BLOCK == 0:
        return GGMLQuantizationType.Q8_0
    return GGMLQuantizationType.F16


def announce(writer: GGUFWriter, tensor: Tensor, kind: GGMLQuantizationType) -> None:
    """Tell the writer of a tensor that `stored` will bring; the header comes before all of them."""
    if kind is GGMLQuantizationType.Q8_0:
        shape = quant_shape_to_byte_shape(tensor.shape, kind)
        writer.add_tensor_info(
            tensor.name, shape, np.dtype(np.uint8), math.prod(shape), raw_dtype=kind
        )
        return
    width = np.dtype(np.float32 if kind is GGMLQuantizationType.F32 else np.float16)
    writer.add_tensor_info(
        tensor.name, tensor.shape, width, math.prod(tensor.shape) * width.itemsize
    )


def stored(tensor: Tensor, kind: GGMLQuantizationType) -> np.ndarray[Any, Any]:
    """Return the values as they stand in the file.

    Raises:
        CheckpointError: a value is too large for the type, or none at all.
    """
    with np.errstate(over="ignore"):
        made: np.ndarray[Any, Any] = quantized(tensor.values(), kind)
    if kind is not GGMLQuantizationType.Q8_0 and not np.isfinite(made).all():
        raise CheckpointError(
            f"tensor {tensor.name}: has values that {kind.name.lower()} cannot hold (infinite, NaN,"
            " or over 65,504)"
        )
    return made


def _stored(folder: Path) -> dict[str, LocalTensor]:
    """Return what the safetensors files of `folder` hold, by name."""
    index = folder / INDEX
    if index.is_file():
        files = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
    else:
        files = [SINGLE]
    missing = [name for name in files if not (folder / name).is_file()]
    if missing:
        raise CheckpointError(
            f"{folder}: has no {', '.join(missing)}; give the folder of a checkpoint"
        )
    found: dict[str, LocalTensor] = {}
    for name in files:
        try:
            found |= SafetensorsLocal(folder / name).tensors
        except (ValueError, KeyError, MemoryError) as error:
            raise CheckpointError(f"{folder / name}: is no safetensors file: {error}") from error
    return found


def _fp32(source: LocalTensor, name: str) -> np.ndarray[Any, Any]:
    raw = source.mmap_bytes()
    if source.dtype == "BF16":  # the upper half of an fp32, which numpy has no type for
        wide = raw.view("<u2").astype(np.uint32) << 16
        return wide.view(np.float32).reshape(source.shape)
    if source.dtype not in ("F32", "F16"):
        raise CheckpointError(
            f"tensor {name}: is kept as {source.dtype}; f32, f16 or bf16 are read"
        )
    kept = raw.view("<f4" if source.dtype == "F32" else "<f2")
    return kept.astype(np.float32).reshape(source.shape)


def _heads_of(name: str, config: Any) -> int:
    part = name.rpartition(".")[0]
    if part.endswith("self_attn.q_proj"):
        return int(config.num_attention_heads)
    return int(config.num_key_value_heads) if part.endswith("self_attn.k_proj") else 0


def _head_width(config: Any) -> int:
    width = getattr(config, "head_dim", None)
    return int(width or config.hidden_size // config.num_attention_heads)


def _rope(config: Any) -> Mapping[str, Any]:
    """Return the rotary parameters; transformers 5 reads older files into the same field."""
    found: Mapping[str, Any] = config.rope_parameters
    return found


def _llama3_factors(rope: Mapping[str, Any], width: int) -> np.ndarray[Any, Any]:
    """Return what Llama 3.1 divides each frequency by (transformers: `rope_type: llama3`)."""
    steps = np.arange(0, width, 2, dtype=np.float64) / width
    wavelengths = 2 * math.pi * rope["rope_theta"] ** steps
    low, high, factor = rope["low_freq_factor"], rope["high_freq_factor"], rope["factor"]
    turns = rope["original_max_position_embeddings"] / wavelengths
    smooth = np.clip((turns - low) / (high - low), 0.0, 1.0)
    return np.asarray(1.0 / ((1 - smooth) / factor + smooth), np.float32)
