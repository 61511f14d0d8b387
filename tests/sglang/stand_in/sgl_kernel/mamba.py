"""Names that SGLang imports on a CPU; the models of these tests call none of them."""

from . import __getattr__ as __getattr__
