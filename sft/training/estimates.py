"""What a recipe needs: memory, disk and hours. All of it is estimated, by formulas that are shown.

Nothing here was measured on the GPUs that it speaks of: measure yours and correct the constants.
"""

from dataclasses import dataclass

from .recipes import Recipe

H100_FLOPS = 989e12
"""Dense bf16 operations a second of one H100 SXM (NVIDIA's data sheet)."""

UTILISATION = 0.35
"""Of that, what long-context fine-tuning is assumed to reach."""

WAITING = 1.8
"""Rows of a step differ in length, and all GPUs wait for the longest: this much longer in all."""

ADAM = 5.5e9
"""Parameters a second that DeepSpeed's Adam is assumed to update in main memory."""

DISK = 1e12
"""Bytes of checkpoints that a run may leave before fewer are kept."""

CPU_BYTES = 18
"""Main memory a parameter, offloaded: fp32 copy, two moments, gradients; the file's own pages."""

GPU_BYTES = 80e9
LOGIT_BYTES = 10
"""Evaluation keeps the logits, in bf16, in fp32 and once more for the loss; training does not."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """The estimates for one recipe. Sizes are in bytes."""

    recipe: Recipe

    @property
    def states_each(self) -> float:
        """Bytes a parameter on the GPUs together."""
        hardware = self.recipe.hardware
        if self.recipe.adapter == "qlora":
            return 0.6  # four bits, their scales, and an embedding in bf16
        if self.recipe.adapter and hardware.gpus:
            return 2.0
        if hardware.deepspeed == "zero3_offload":
            return 4.0  # weights, and gradients on their way to main memory
        if hardware.deepspeed:
            return 18.0  # weights 2, gradients 4, fp32 copy 4, two moments 8
        return 16.0

    @property
    def states(self) -> float:
        """Weights and optimizer states on one GPU; adapters have a copy of the base on each."""
        shared = 1 if self.recipe.adapter else max(1, self.recipe.hardware.gpus)
        return self.states_each * self.recipe.base.parameters / shared

    @property
    def value_bytes(self) -> int:
        return 4 if self.recipe.hardware.precision == "fp32" else 2

    @property
    def tokens(self) -> int:
        """Tokens of the rows that a GPU holds at a time."""
        return self.recipe.hyperparameters.tokens * self.recipe.hardware.micro_batch

    @property
    def gpu(self) -> float:
        """One GPU: the states, and one hidden vector a layer and token (checkpointing)."""
        base = self.recipe.base
        return self.states + self.value_bytes * base.layers * base.width * self.tokens

    @property
    def logits(self) -> float:
        """What the logits of one row of the full length take, with their loss."""
        return float(LOGIT_BYTES) * self.recipe.base.words * self.recipe.hyperparameters.tokens

    @property
    def longest_evaluated(self) -> int:
        """Tokens of the longest held-out row that fits on a GPU of 80 GB, or the full length."""
        fit = (GPU_BYTES - 2e9 - self.states) / (LOGIT_BYTES * self.recipe.base.words)
        return min(self.recipe.hyperparameters.tokens, int(fit) // 1_000 * 1_000)

    @property
    def main_memory(self) -> float:
        """Main memory of all machines for offloaded states."""
        offloaded = self.recipe.hardware.deepspeed == "zero3_offload"
        return CPU_BYTES * self.recipe.base.parameters if offloaded else 0.0

    @property
    def trained(self) -> float:
        """Parameters that are trained: all, or adapters of rank 32, about one in a hundred."""
        return self.recipe.base.parameters * (0.01 if self.recipe.adapter else 1)

    @property
    def weights_on_disk(self) -> float:
        return self.value_bytes * self.trained

    @property
    def states_on_disk(self) -> float:
        """A checkpoint to go on from: fp32 weights count as the optimizer's copy."""
        own = 0 if self.recipe.hardware.precision == "fp32" else self.value_bytes
        return (own + 12) * self.trained

    @property
    def resumable(self) -> bool:
        """Whether a checkpoint has what training needs to go on from it.

        Where many epochs are compared, their weights take the disk that states would need.
        """
        recipe = self.recipe
        if recipe.hardware.gpus == 0:
            return False  # a smoke test is over in minutes
        few = recipe.hyperparameters.epochs <= 5
        return bool(recipe.adapter) or few or self._all_states <= DISK

    @property
    def kept(self) -> int:
        """Checkpoints that are kept: all epochs, or the last two where states are too large."""
        recipe = self.recipe
        if recipe.adapter or not self.resumable or self._all_states <= DISK:
            return recipe.hyperparameters.epochs
        return 2

    @property
    def _all_states(self) -> float:
        return self.recipe.hyperparameters.epochs * self.states_on_disk

    @property
    def checkpoint(self) -> float:
        return self.states_on_disk if self.resumable else self.weights_on_disk

    @property
    def disk(self) -> float:
        """Checkpoints and the final weights."""
        return self.kept * self.checkpoint + self.weights_on_disk

    @property
    def waiting(self) -> float:
        return WAITING if self.recipe.hardware.gpus > 1 else 1.0

    @property
    def hours(self) -> float:
        """8 operations a parameter and token (forward, recomputed forward, backward), and Adam."""
        recipe = self.recipe
        tokens = recipe.set.trained * recipe.set.mean_tokens * recipe.hyperparameters.epochs
        flops = H100_FLOPS * UTILISATION * (0.25 if recipe.hardware.precision == "fp32" else 1)
        seconds = 8 * recipe.base.parameters * tokens / (max(1, recipe.hardware.gpus) * flops)
        return (seconds * self.waiting + self.adam_seconds) / 3600

    @property
    def adam_seconds(self) -> float:
        """Seconds of all steps together in which main memory is updated."""
        return self.recipe.steps * self.recipe.base.parameters / ADAM if self.main_memory else 0.0
