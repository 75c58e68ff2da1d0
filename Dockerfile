# A small image that runs the command line on the CPU as an unprivileged user:
#
#   docker build --tag metaloom .
#   docker run --rm --volume metaloom:/data metaloom list
#
# PyPI's torch for Linux brings CUDA libraries. For the CPU build alone, which is several gigabytes
# smaller, name PyTorch's index of CPU builds with --build-arg PIP_EXTRA_INDEX_URL=...
FROM python:3.11-slim

ARG PIP_EXTRA_INDEX_URL
ARG PREFIX=/opt/metaloom
ARG DATA=/data

WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY registry registry
COPY metalearn metalearn
COPY hub hub
COPY demo demo
COPY plugins plugins

RUN python3 -m venv "$PREFIX" \
    && "$PREFIX/bin/pip" install --no-cache-dir --disable-pip-version-check \
        --constraint constraints.txt . \
    && "$PREFIX/bin/metaloom" --help > /dev/null \
    && mkdir -p "$DATA" \
    && chmod 1777 "$DATA"

ENV PATH="$PREFIX/bin:$PATH" \
    METALOOM_HOME="$DATA" \
    MLFLOW_DISABLE_TELEMETRY=true \
    PYTHONUNBUFFERED=1

USER 10001:10001
WORKDIR $DATA
ENTRYPOINT ["metaloom"]
CMD ["--help"]
