# Film: choose three walks, render their frames without loss, encode three channels and a triptych.

TIMING = ("seconds", "fps", "time", "ease", "hold", "loop", "clock")
LOOK = ("size", "gap", "crf", "preset", "captions")


def film_entry(wildcards):
    return PLAN.films[wildcards.film]


def candidate_batches(wildcards):
    """Where a film's candidates walk: setting, seed -> batch file, and the files themselves without repetition."""
    return sorted(set(candidate_files(wildcards).values()))


def candidate_files(wildcards):
    files = {}
    for candidate in PLAN.films[wildcards.film]["candidates"]:
        setting, seed = candidate["setting"], candidate["seed"]
        batch = next(label for label, seeds in PLAN.settings[setting].batches.items() if seed in seeds)
        files[f"{setting}/{seed}"] = f"{RESULTS}/{setting}/trajectories/{batch}.safetensors"
    return files


def ranking(wildcards):
    """The measures of all walks, for the films that are chosen by rank; the others know their members."""
    return f"{RESULTS}/journeys.csv" if PLAN.films[wildcards.film]["vary"] == "rank" else []


def candidate_losses(wildcards):
    settings = {candidate["setting"] for candidate in PLAN.films[wildcards.film]["candidates"]}
    return [f"{RESULTS}/{setting}/losses.csv" for setting in sorted(settings)] if PLAN.base["video"]["captions"] else []


def changes(wildcards):
    """How the picture changes along each walk: measured only where the film's time follows it."""
    files = [f"{RESULTS}/films/{wildcards.film}/change-{channel}.npz" for channel in (1, 2, 3)]
    return files if PLAN.base["video"]["time"] == "perceived" else []


def frames_file(path):
    """A lossless file of frames: kept, so that captions and codec only encode again, or temporary where asked."""
    return path if PLAN.base["video"]["keep_frames"] else temp(path)


rule choose:
    input:
        trajectories=candidate_batches,
        journeys=ranking,
    output:
        choice="results/{name}/films/{film}/film.json",
    log:
        "logs/{name}/films/{film}/choose.log",
    benchmark:
        "benchmarks/{name}/films/{film}/choose.tsv"
    conda:
        "../envs/show.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        film=film_entry,
        files=candidate_files,
        code=code("choose"),
    script:
        "../scripts/choose.py"


rule change:
    input:
        unpack(measure_files),
        choice="results/{name}/films/{film}/film.json",
        trajectories=candidate_batches,
    output:
        change="results/{name}/films/{film}/change-{channel}.npz",
    log:
        "logs/{name}/films/{film}/change-{channel}.log",
    benchmark:
        "benchmarks/{name}/films/{film}/change-{channel}.tsv"
    conda:
        "../envs/show.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=120,
        gpu=GPUS,
    params:
        device=PLAN.base["device"],
        code=code("change"),
    script:
        "../scripts/change.py"


rule timing:
    input:
        choice="results/{name}/films/{film}/film.json",
        trajectories=candidate_batches,
        changes=changes,
    output:
        timing="results/{name}/films/{film}/timing.json",
    log:
        "logs/{name}/films/{film}/timing.log",
    benchmark:
        "benchmarks/{name}/films/{film}/timing.tsv"
    conda:
        "../envs/show.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        timing={key: PLAN.base["video"][key] for key in TIMING},
        code=code("timing"),
    script:
        "../scripts/timing.py"


rule render:
    input:
        unpack(measure_files),
        choice="results/{name}/films/{film}/film.json",
        timing="results/{name}/films/{film}/timing.json",
        trajectories=candidate_batches,
    output:
        frames=frames_file("results/{name}/films/{film}/frames/{channel}.mkv"),
    log:
        "logs/{name}/films/{film}/render-{channel}.log",
    benchmark:
        "benchmarks/{name}/films/{film}/render-{channel}.tsv"
    conda:
        "../envs/show.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
        gpu=GPUS,
    params:
        veil=PLAN.base["video"]["veil"],
        net=lpips_net(PLAN.base["measures"]),
        device=PLAN.base["device"],
        code=code("render"),
    script:
        "../scripts/render.py"


rule encode_channel:
    input:
        choice="results/{name}/films/{film}/film.json",
        timing="results/{name}/films/{film}/timing.json",
        frames="results/{name}/films/{film}/frames/{channel}.mkv",
        losses=candidate_losses,
    output:
        film="results/{name}/films/{film}/channel-{channel}.mp4",
    log:
        "logs/{name}/films/{film}/encode-{channel}.log",
    benchmark:
        "benchmarks/{name}/films/{film}/encode-{channel}.tsv"
    conda:
        "../envs/show.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        look={key: PLAN.base["video"][key] for key in LOOK},
        channels="{channel}",
        code=code("encode"),
    script:
        "../scripts/encode.py"


rule triptych:
    input:
        choice="results/{name}/films/{film}/film.json",
        timing="results/{name}/films/{film}/timing.json",
        frames=expand("results/{{name}}/films/{{film}}/frames/{channel}.mkv", channel=[1, 2, 3]),
        losses=candidate_losses,
    output:
        film="results/{name}/films/{film}/triptych.mp4",
    log:
        "logs/{name}/films/{film}/triptych.log",
    benchmark:
        "benchmarks/{name}/films/{film}/triptych.tsv"
    conda:
        "../envs/show.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        look={key: PLAN.base["video"][key] for key in LOOK},
        channels="123",
        code=code("encode"),
    script:
        "../scripts/encode.py"
