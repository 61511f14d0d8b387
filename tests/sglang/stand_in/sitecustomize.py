"""Python runs this first: torchvision, built for CUDA, is made importable beside a torch for CPUs.

It registers kernels for operators that its library would have declared, and that cannot be loaded.
"""

import importlib.abc
import sys
from typing import Any

BOXES = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


class Declares(importlib.abc.MetaPathFinder):
    """Declares the operators just before torchvision is imported, and finds nothing itself."""

    library: Any = None

    def find_spec(self, name: str, path: Any, target: Any = None) -> None:
        if name == "torchvision" and Declares.library is None:
            import torch

            Declares.library = torch.library.Library("torchvision", "DEF")
            for operator in ("nms", "qnms"):
                Declares.library.define(operator + BOXES)


sys.meta_path.insert(0, Declares())
