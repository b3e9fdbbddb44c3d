# docker build -t approaching-destination .
# With PyTorch's CPU index (pytorch.org, "Get Started") the image is several gigabytes smaller:
# docker build --build-arg TORCH_INDEX=URL -t approaching-destination .
# docker run --rm --user $(id -u):$(id -g) -v "$PWD:/work" approaching-destination --cores all --config seeds=6
FROM python:3.13-slim

ARG TORCH_INDEX=""

RUN apt-get update \
    && apt-get install --yes --no-install-recommends fonts-dejavu-core git \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /approach
COPY requirements.lock ./
RUN python3 -m venv .venv \
    && PIP_EXTRA_INDEX_URL="$TORCH_INDEX" .venv/bin/python -m pip install --quiet --no-cache-dir --disable-pip-version-check -r requirements.lock

COPY Snakefile ./
COPY workflow ./workflow
COPY config ./config
COPY profiles ./profiles
COPY resources ./resources

RUN useradd --create-home visitor && mkdir /work && chown visitor /work && mkdir --mode=1777 /approach/home
# HOME and caches can be written by whatever user `docker run --user` names.
ENV PATH=/approach/.venv/bin:$PATH HOME=/approach/home MPLCONFIGDIR=/approach/home/matplotlib PYTHONDONTWRITEBYTECODE=1
USER visitor
WORKDIR /work
ENTRYPOINT ["snakemake", "--snakefile", "/approach/workflow/Snakefile", "--workflow-profile", "/approach/profiles/default"]
CMD ["--cores", "all"]
