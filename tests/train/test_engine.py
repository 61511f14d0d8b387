"""The batched engine of the experiments writes, token for token, what transformers writes."""

from pathlib import Path

from eval.codesign.engine import BatchedEngine


def test_answers_that_share_batches_are_as_if_alone(tiny: Path) -> None:
    """Three at once: prompts of many lengths join and leave while others are being written."""
    import torch
    from transformers import AutoModelForCausalLM

    engine = BatchedEngine(tiny, "float32", 3)
    bodies = [
        {"messages": [{"role": "user", "content": "How many? " * (1 + number % 4)}],
         "temperature": 0, "max_tokens": 3 + 4 * (number % 3)}
        for number in range(8)
    ]  # fmt: skip
    jobs = [engine.begin(body) for body in bodies]
    for job in jobs:
        while not job.news.get(timeout=60):
            pass
    model = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)
    for job in jobs:
        prompt = torch.tensor([job.prompt])
        whole = model.generate(
            prompt, max_new_tokens=job.most, do_sample=False,
            attention_mask=torch.ones_like(prompt), eos_token_id=engine.end,
        )  # fmt: skip
        assert job.tokens == whole[0, len(job.prompt) :].tolist()
        assert all(each <= 0 for each in job.logprobs)


def test_a_seed_draws_the_same_answer_again(tiny: Path) -> None:
    engine = BatchedEngine(tiny, "float32", 4)
    message = {"role": "user", "content": "How many?"}
    body = {"messages": [message], "temperature": 1.0, "top_p": 0.9, "max_tokens": 8}
    drawn = []
    for seed in (1, 1, 2):
        job = engine.begin({**body, "seed": seed})
        while not job.news.get(timeout=60):
            pass
        drawn.append(job.tokens)
    assert drawn[0] == drawn[1] != drawn[2]
