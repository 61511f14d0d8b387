# Axolotl with this project's plugin. Build from the project's folder:
#   docker build -f docker/train.Dockerfile -t its-train .
#   docker run --gpus all --ipc host -v "$PWD":/work -v ~/.cache/huggingface:/root/.cache/huggingface \
#     -w /work its-train its-sft train sft/NAME.yml
# Nothing here was built where it was written (no Docker engine): the base's tag is unverified.
FROM nvidia/cuda:13.0.1-devel-ubuntu24.04

# The compiler is for DeepSpeed, which builds its offloaded optimizer at the first run.
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3.12-dev python3.12-venv build-essential ninja-build git \
 && rm -rf /var/lib/apt/lists/*

ENV VIRTUAL_ENV=/opt/train PATH=/opt/train/bin:$PATH AXOLOTL_DO_NOT_TRACK=1
RUN python3.12 -m venv "$VIRTUAL_ENV"

COPY constraints/train.txt /tmp/train.txt
RUN pip install --no-cache-dir -c /tmp/train.txt "axolotl[deepspeed]==0.21.0"
RUN MAX_JOBS=4 pip install --no-cache-dir --no-build-isolation flash-attn

WORKDIR /src
COPY pyproject.toml README.md LICENSE CHANGELOG.md ./
COPY its its
COPY proxy proxy
COPY sft sft
COPY eval eval
RUN pip install --no-cache-dir -c /tmp/train.txt '.[train,sft]'

WORKDIR /work
CMD ["its-sft", "recipes"]
