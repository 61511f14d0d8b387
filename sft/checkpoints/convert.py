"""A GGUF file as the folder that trainers want: weights, tokenizer, chat template, EOS, checked."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console

from ..errors import CheckpointError

SAME_MATRIX = 0.2
"""Mean relative difference up to which two quantised matrices are taken for one."""

ASKED = [{"role": "user", "content": "What is 7 + 5? Answer with the number only."}]


def convert(model: Path, out: Path, dtype: str) -> None:
    """Write the folder `out` from the file `model`, dequantised, and check it.

    A file that holds one matrix twice, as embedding and as output, makes a model with tied ones,
    as it was published: an untied copy has a quarter more to train.

    Raises:
        CheckpointError: an extra is missing, or a check fails.
    """
    console = Console(stderr=True, soft_wrap=True)
    missing = [name for name in ("torch", "gguf", "transformers") if find_spec(name) is None]
    if missing:
        raise CheckpointError(f"needs {' and '.join(missing)}: make train-env")
    if not model.is_file():
        raise CheckpointError(f"{model}: no such file; `its-proxy model NAME` has some")
    import torch
    from gguf import GGUFReader

    from . import gguf_tokenizer

    reader = GGUFReader(str(model))
    try:
        gguf_tokenizer.write(model, out)
    except ValueError as error:
        raise CheckpointError(str(error)) from error
    loaded = _weights(model, torch.float32 if dtype == "float32" else torch.bfloat16)
    tied = _tie(loaded, reader)
    tokenizer = _settle(loaded, out)
    loaded.save_pretrained(out)
    _check(loaded, tokenizer, reader, out, tied)
    million = sum(p.numel() for p in loaded.parameters()) / 1e6
    console.print(
        f"{out}: {million:,.0f} M parameters, {dtype}, {'tied' if tied else 'not tied'}, ends with"
        f" {tokenizer.eos_token}, pads with {tokenizer.pad_token}",
        style="green", markup=False, highlight=False,
    )  # fmt: skip


def _weights(model: Path, dtype: Any) -> Any:
    from transformers import AutoModelForCausalLM
    from transformers.utils.quantization_config import GgufConfig

    loaded = AutoModelForCausalLM.from_pretrained(
        str(model.parent), gguf_file=model.name, dtype=dtype,
        quantization_config=GgufConfig(dequantize=True),
    )  # fmt: skip
    # The loader leaves its quantizer on the model, and then refuses to save what is dequantised.
    for holder in (loaded, loaded.config):
        for name in ("hf_quantizer", "quantization_method", "quantization_config", "is_quantized"):
            if name in vars(holder):
                delattr(holder, name)
    return loaded


def _tie(loaded: Any, reader: Any) -> bool:
    """Make the output matrix the embedding where the file holds one matrix twice."""
    if loaded.config.tie_word_embeddings:
        return True
    if not any(tensor.name == "output.weight" for tensor in reader.tensors):
        return False
    embedding, output = loaded.get_input_embeddings(), loaded.get_output_embeddings()
    one, two = embedding.weight.data.float(), output.weight.data.float()
    if one.shape != two.shape or (one - two).abs().mean() > SAME_MATRIX * two.abs().mean():
        return False
    embedding.weight.data = output.weight.data  # the finer of the two copies
    loaded.config.tie_word_embeddings = True
    loaded.tie_weights()
    return True


def _settle(loaded: Any, out: Path) -> Any:
    """Give the model the tokens that end and fill a text."""
    from transformers import AutoTokenizer, GenerationConfig

    from . import gguf_tokenizer

    tokenizer = AutoTokenizer.from_pretrained(out)
    ends = [tokenizer.eos_token_id]
    other = tokenizer.convert_tokens_to_ids(gguf_tokenizer.END_OF_TEXT)
    if other is not None and other not in ends:
        ends.append(other)
    loaded.generation_config = GenerationConfig(
        eos_token_id=ends, pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id, do_sample=False,
    )  # fmt: skip
    loaded.config.eos_token_id = tokenizer.eos_token_id
    loaded.config.pad_token_id = tokenizer.pad_token_id
    loaded.config.bos_token_id = tokenizer.bos_token_id
    return tokenizer


def _check(loaded: Any, tokenizer: Any, reader: Any, out: Path, tied: bool) -> None:
    """Hold what was written to the file.

    Raises:
        CheckpointError: a tensor, the template or the tokens are not the file's.
    """
    import torch
    from gguf import dequantize
    from transformers import AutoModelForCausalLM

    again = AutoModelForCausalLM.from_pretrained(out, dtype=loaded.dtype)
    written = again.state_dict()
    stored = {tensor.name: tensor for tensor in reader.tensors}
    embedding = "output.weight" if tied and "output.weight" in stored else "token_embd.weight"
    for ours, theirs in (
        ("model.embed_tokens.weight", embedding),
        ("model.layers.1.mlp.down_proj.weight", "blk.1.ffn_down.weight"),
        ("model.norm.weight", "output_norm.weight"),
    ):
        tensor = stored[theirs]
        expected = torch.from_numpy(dequantize(tensor.data, tensor.tensor_type).copy())
        if not torch.equal(expected.to(loaded.dtype).reshape(written[ours].shape), written[ours]):
            raise CheckpointError(f"{out}: {ours} is not the file's {theirs}")
    if not tokenizer.chat_template:
        raise CheckpointError(f"{out}: the file has no chat template")
    text = tokenizer.apply_chat_template(ASKED, tokenize=False, add_generation_prompt=True)
    ids = tokenizer(text, add_special_tokens=False).input_ids
    if tokenizer.decode(ids) != text:
        raise CheckpointError(f"{out}: a prompt does not come back from its tokens")
    if ASKED[0]["content"] not in text or tokenizer.eos_token not in text:
        raise CheckpointError(f"{out}: the chat template leaves out the question, or ends no turn")
