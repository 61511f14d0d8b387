"""What is learnt is the whole answer with its thinking and its end, and nothing else."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from sft.errors import TrainingError
from sft.training.inspect import Labelled, label
from sft.training.recipe_files import render
from sft.training.recipes import Recipe, named, recipes
from tests.conftest import ROOT

ASKED = "You keep bees above the tree line.\n\nWhat is 3 + 4? Use \\boxed{}."
THOUGHT = "<think>\nThree and four.\n\nThat is 7.\n</think>\n\n"
SAID = "The final answer is \\boxed{7}."
NAMES = [
    *(recipe.name for recipe in recipes()), "r1-distill-qwen-32b-limo-r", "qwen3-8b-limo-v2-s",
    "r1-distill-qwen-1.5b-ot-1k-r-lora",
]  # fmt: skip


def labelled(
    recipe: Recipe, tokenizers: dict[str, Path], folder: Path, answer: str, **changes: Any
) -> Labelled:
    content = yaml.safe_load(render(recipe))
    content["base_model"] = str(tokenizers[recipe.base_name])
    content |= changes
    path = folder / "c.yml"
    path.write_text(yaml.safe_dump(content), "utf-8")
    chat = [{"role": "user", "content": ASKED}, {"role": "assistant", "content": answer}]
    return label(path, {"messages": chat})


def end_of(recipe: Recipe) -> str:
    return "<｜end▁of▁sentence｜>" if "r1-distill" in recipe.base_name else "<|im_end|>"


@pytest.mark.parametrize("name", NAMES)
def test_the_answer_is_learnt_and_the_question_is_not(
    name: str, tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    recipe = named(name)
    answer = SAID if recipe.set.plain else THOUGHT + SAID
    found = labelled(recipe, tokenizers, tmp_path, answer)
    assert found.learnt.rstrip("\n") == answer + end_of(recipe)
    assert ASKED in found.masked


@pytest.mark.parametrize("name", NAMES)
def test_a_model_is_asked_as_it_was_trained(
    name: str, tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    """What serving puts before the answer is what stands before it in training."""
    from transformers import AutoTokenizer

    recipe = named(name)
    tokenizer = AutoTokenizer.from_pretrained(tokenizers[recipe.base_name])
    if recipe.template:
        tokenizer.chat_template = (ROOT / f"sft/templates/{recipe.template}.jinja").read_text(
            "utf-8"
        )
    chat = [{"role": "user", "content": ASKED}]
    answer = SAID if recipe.set.plain else THOUGHT + SAID
    whole = [*chat, {"role": "assistant", "content": answer}]
    asked = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    trained = tokenizer.apply_chat_template(whole, tokenize=False)
    assert trained.startswith(asked)
    assert trained.rstrip("\n").endswith(SAID + end_of(recipe))


def test_no_setting_is_changed_before_a_row_is_shown(
    tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    recipe = named("smoke-cpu")
    found = labelled(recipe, tokenizers, tmp_path, SAID, train_on_inputs=True)
    assert ASKED in found.learnt
    ends = {"special_tokens": {"eos_token": "<|endoftext|>"}}
    found = labelled(recipe, tokenizers, tmp_path, SAID, **ends)
    assert found.learnt.rstrip("\n") == SAID, "the end of the turn is not learnt, and shown so"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"base_model": "no/where"}, "base_model: no tokenizer 'no/where'"),
        ({"tokenizer_config": "no/where"}, "tokenizer_config: no tokenizer 'no/where'"),
        ({"input_time": {"strategy": "sideways"}},
         "refused: input_time: Unknown strategy 'sideways'"),
        ({"chat_template": "jinja", "chat_template_jinja": "{{ raise_exception('no!') }}"},
         "its chat template refuses the row: no!"),
    ],
)  # fmt: skip
def test_what_is_wrong_names_the_tokenizer_or_the_field(
    tokenizers: dict[str, Path], tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(TrainingError) as raised:
        labelled(named("smoke-cpu"), tokenizers, tmp_path, SAID, **changes)
    assert told in str(raised.value)


def test_the_tokenizer_s_own_template_of_r1_would_delete_the_thinking(
    tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    """The test above can fail: this is what it guards against."""
    recipe = named("r1-distill-qwen-1.5b-ot-1k-r")
    own = {"chat_template": "tokenizer_default", "chat_template_jinja": None}
    found = labelled(recipe, tokenizers, tmp_path, THOUGHT + SAID, **own)
    assert "Three and four" not in found.learnt
    assert "Three and four" not in found.masked
