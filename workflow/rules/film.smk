# Film: choose three trajectories, or members of a pool; render their frames without loss; encode channels and triptych.

TIMING = ("seconds", "fps", "time", "ease", "hold", "loop", "clock")
LOOK = ("size", "gap", "crf", "preset", "captions")
# a run is as long as the way to its film; what else there is fills the cores beside it
FILM_FIRST = 10


rule choose:
    input:
        trajectories=get_named_batches,
        trajectory_table=get_ranking,
    output:
        choice="results/{name}/films/{film}/film.json",
    log:
        "logs/{name}/films/{film}/choose.log",
    benchmark:
        "benchmarks/{name}/films/{film}/choose.tsv"
    priority: FILM_FIRST
    conda:
        "../envs/show.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        film=get_film,
        files=get_candidate_files,
        code=get_code("choose"),
    script:
        "../scripts/choose.py"


rule pool:
    input:
        **generator_files(PLAN.base, "architecture", "class_names"),
        choice="results/{name}/films/{film}/film.json",
        trajectories=get_candidate_batches,
        losses=get_candidate_losses,
    output:
        trajectories="results/{name}/films/{film}/pool.safetensors",
        table="results/{name}/films/{film}/pool.csv",
    log:
        "logs/{name}/films/{film}/pool.log",
    benchmark:
        "benchmarks/{name}/films/{film}/pool.tsv"
    priority: FILM_FIRST
    conda:
        "../envs/show.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        settings=get_film_settings,
        code=get_code("pool"),
    script:
        "../scripts/pool.py"


rule timing:
    input:
        choice="results/{name}/films/{film}/film.json",
        trajectories=get_shown_batches,
    output:
        timing="results/{name}/films/{film}/timing.json",
    log:
        "logs/{name}/films/{film}/timing.log",
    benchmark:
        "benchmarks/{name}/films/{film}/timing.tsv"
    priority: FILM_FIRST
    conda:
        "../envs/show.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        timing=get_video(*TIMING),
        code=get_code("timing"),
    script:
        "../scripts/timing.py"


rule render:
    input:
        unpack(get_frame_files),
        choice="results/{name}/films/{film}/film.json",
        timing="results/{name}/films/{film}/timing.json",
        trajectories=get_shown_batches,
    output:
        frames=frames_files(
            expand(
                "results/{{name}}/films/{{film}}/frames/{channel}.mkv",
                channel=[1, 2, 3],
            )
        ),
        checksums=frames_files(
            expand(
                "results/{{name}}/films/{{film}}/frames/{channel}.sha256",
                channel=[1, 2, 3],
            )
        ),
    log:
        "logs/{name}/films/{film}/render.log",
    benchmark:
        "benchmarks/{name}/films/{film}/render.tsv"
    priority: FILM_FIRST
    conda:
        "../envs/show.yaml"
    threads: IMAGE_THREADS
    resources:
        mem_mb=4000,
        runtime=240,
        gpu=GPUS,
    params:
        fog=get_fog,
        net=get_fog_net,
        device=PLAN.base["device"],
        code=get_code("render"),
    script:
        "../scripts/render.py"


rule encode:
    input:
        choice="results/{name}/films/{film}/film.json",
        timing="results/{name}/films/{film}/timing.json",
        frames=expand(
            "results/{{name}}/films/{{film}}/frames/{channel}.mkv",
            channel=[1, 2, 3],
        ),
        checksums=expand(
            "results/{{name}}/films/{{film}}/frames/{channel}.sha256",
            channel=[1, 2, 3],
        ),
        losses=get_caption_losses,
    output:
        channels=expand(
            "results/{{name}}/films/{{film}}/channel-{channel}.mp4",
            channel=[1, 2, 3],
        ),
        triptych="results/{name}/films/{film}/triptych.mp4",
    log:
        "logs/{name}/films/{film}/encode.log",
    benchmark:
        "benchmarks/{name}/films/{film}/encode.tsv"
    priority: FILM_FIRST
    conda:
        "../envs/show.yaml"
    threads: 1  # its four encoders share what cores are free; it need not wait for a second one
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        look=get_video(*LOOK),
        metadata=get_metadata,
        settings=get_caption_settings,
        code=get_code("encode"),
    script:
        "../scripts/encode.py"
