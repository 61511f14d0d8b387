"""A Llama or Qwen2 decoder in plain torch, for many rows at once; rows join and leave."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch.nn import functional as F

ROOM = 128
"""Columns by which the cache grows."""

Layer = tuple[torch.Tensor | None, ...]


class Decoder:
    """Holds the weights, and the keys and values of all rows: [rows, heads, columns, size].

    Rows are aligned at the right: all write into the same column, and what stands left of a row's
    first token is masked. So a shorter row costs as much as the longest.
    """

    def __init__(self, folder: Path, dtype: torch.dtype) -> None:
        config = json.loads((folder / "config.json").read_text())
        self.dtype = dtype
        self.heads, self.groups = config["num_attention_heads"], config["num_key_value_heads"]
        self.width: int = config["hidden_size"]
        self.size = config.get("head_dim") or self.width // self.heads
        self.eps: float = config["rms_norm_eps"]
        theta = config["rope_parameters"]["rope_theta"]
        self.turns = 1 / theta ** (torch.arange(0, self.size, 2).float() / self.size)
        weights = {k: v.to(dtype) for k, v in load_file(folder / "model.safetensors").items()}
        self.layers = [_layer(weights, n) for n in range(config["num_hidden_layers"])]
        self.embedding, self.norm = (
            weights["model.embed_tokens.weight"],
            weights["model.norm.weight"],
        )
        self.head = weights.get("lm_head.weight", self.embedding)
        self.column = 0
        self.first = torch.zeros(0, dtype=torch.long)  # column of each row's first token
        self.keys = [torch.zeros(0, self.groups, 0, self.size, dtype=dtype) for _ in self.layers]
        self.values = [torch.zeros_like(key) for key in self.keys]

    def join(self, prompts: list[list[int]]) -> torch.Tensor:
        """Add a row for each prompt; return the scores of their next tokens, [rows, vocabulary]."""
        longest = max(map(len, prompts))
        if longest > self.column:
            self._shift(longest - self.column)
        first = torch.tensor([longest - len(prompt) for prompt in prompts])
        tokens = torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt in prompts])
        hidden, keys, values = self._prefill(tokens, first)
        left = self.column - longest
        for n, (key, value) in enumerate(zip(keys, values, strict=True)):
            room = self.keys[n].shape[2] - self.column
            self.keys[n] = torch.cat([self.keys[n], F.pad(key, (0, 0, left, room))])
            self.values[n] = torch.cat([self.values[n], F.pad(value, (0, 0, left, room))])
        self.first = torch.cat([self.first, first + left])
        return F.linear(hidden, self.head)

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        """Read one token of each row, [rows, 1]; return the scores of the next ones."""
        if self.column == self.keys[0].shape[2]:
            self.keys = [F.pad(key, (0, 0, 0, ROOM)) for key in self.keys]
            self.values = [F.pad(value, (0, 0, 0, ROOM)) for value in self.values]
        end = self.column + 1
        hidden_left = torch.arange(end)[None] < self.first[:, None]
        mask = torch.zeros(len(tokens), 1, 1, end).masked_fill(hidden_left[:, None, None], -1e9)
        turn = self._turn((self.column - self.first)[:, None])
        x = F.embedding(tokens, self.embedding)
        for n, layer in enumerate(self.layers):
            q, k, v = self._heads(x, layer, turn)
            self.keys[n][:, :, self.column : end], self.values[n][:, :, self.column : end] = k, v
            keys, values = self.keys[n][:, :, :end], self.values[n][:, :, :end]
            q = q.reshape(len(tokens), self.groups, -1, self.size)
            scores = (q @ keys.transpose(2, 3)).float() * self.size**-0.5 + mask
            seen = (scores.softmax(-1).to(self.dtype) @ values).reshape(len(tokens), 1, -1)
            x = self._rest(x, seen, layer)
        self.column = end
        return F.linear(F.rms_norm(x[:, -1], (self.width,), self.norm, self.eps), self.head)

    def keep(self, rows: list[int]) -> None:
        """Leave out all other rows, and the columns that only they used."""
        index = torch.tensor(rows, dtype=torch.long)
        self.first = self.first[index]
        spare = int(self.first.min()) if rows else self.column
        self.keys = [key[index, :, spare:] for key in self.keys]
        self.values = [value[index, :, spare:] for value in self.values]
        self.first, self.column = self.first - spare, self.column - spare

    def _shift(self, by: int) -> None:
        self.keys = [F.pad(key, (0, 0, by, 0)) for key in self.keys]
        self.values = [F.pad(value, (0, 0, by, 0)) for value in self.values]
        self.first, self.column = self.first + by, self.column + by

    def _prefill(
        self, tokens: torch.Tensor, first: torch.Tensor
    ) -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor]]:
        rows, columns = tokens.shape
        place = torch.arange(columns)
        turn = self._turn((place[None] - first[:, None]).clamp(min=0))
        ahead = place[None, :] > place[:, None]
        masked = ahead[None, None] | (place[None] < first[:, None])[:, None, None]
        mask = torch.zeros(rows, 1, columns, columns).masked_fill(masked, -1e9).to(self.dtype)
        x, keys, values = F.embedding(tokens, self.embedding), [], []
        for layer in self.layers:
            q, k, v = self._heads(x, layer, turn)
            seen = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)
            x = self._rest(x, seen.transpose(1, 2).reshape(rows, columns, -1), layer)
            keys.append(k)
            values.append(v)
        return F.rms_norm(x[:, -1], (self.width,), self.norm, self.eps), keys, values

    def _turn(self, place: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        angle = place[..., None].float() * self.turns
        angle = torch.cat([angle, angle], -1)[:, None]
        return angle.cos().to(self.dtype), angle.sin().to(self.dtype)

    def _heads(
        self, x: torch.Tensor, layer: Layer, turn: tuple[torch.Tensor, torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return queries, keys and values, [rows, heads, columns, size], turned by their place."""
        norm, qkv, bias, *_ = layer
        assert norm is not None
        assert qkv is not None
        sizes = [self.heads * self.size, self.groups * self.size, self.groups * self.size]
        parts = F.linear(F.rms_norm(x, (self.width,), norm, self.eps), qkv, bias).split(sizes, -1)
        q, k, v = (part.unflatten(-1, (-1, self.size)).transpose(1, 2) for part in parts)
        return _turned(q, turn), _turned(k, turn), v

    def _rest(self, x: torch.Tensor, seen: torch.Tensor, layer: Layer) -> torch.Tensor:
        *_, out, norm, up, down = layer
        assert out is not None
        assert up is not None
        assert down is not None
        x = x + F.linear(seen, out)
        gate, lift = F.linear(F.rms_norm(x, (self.width,), norm, self.eps), up).chunk(2, -1)
        return x + F.linear(F.silu(gate) * lift, down)


def _turned(x: torch.Tensor, turn: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    left, right = x.chunk(2, -1)
    return x * turn[0] + torch.cat([-right, left], -1) * turn[1]


def _layer(weights: dict[str, torch.Tensor], n: int) -> Layer:
    """Return the weights of a layer: one product for three, and one for two."""
    at, mlp = f"model.layers.{n}.self_attn.", f"model.layers.{n}.mlp."
    bias = [weights[f"{at}{x}_proj.bias"] for x in "qkv" if f"{at}{x}_proj.bias" in weights]
    return (
        weights[f"model.layers.{n}.input_layernorm.weight"],
        torch.cat([weights[f"{at}{x}_proj.weight"] for x in "qkv"]),
        torch.cat(bias) if bias else None,
        weights[f"{at}o_proj.weight"],
        weights[f"model.layers.{n}.post_attention_layernorm.weight"],
        torch.cat([weights[f"{mlp}gate_proj.weight"], weights[f"{mlp}up_proj.weight"]]),
        weights[f"{mlp}down_proj.weight"],
    )
