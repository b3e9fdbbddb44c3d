# Film: choose three walks, render their frames without loss, encode three channels and a triptych.

TIMING = ("seconds", "fps", "time", "ease", "hold", "loop", "clock")
LOOK = ("size", "gap", "crf", "preset", "captions")


rule choose:
    input:
        trajectories=candidate_batches,
        trajectory_table=ranking,
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


rule frame_distance:
    input:
        **metric_files(),
        choice="results/{name}/films/{film}/film.json",
        trajectories=candidate_batches,
    output:
        distances="results/{name}/films/{film}/frame-distance-{channel}.npz",
    log:
        "logs/{name}/films/{film}/frame-distance-{channel}.log",
    benchmark:
        "benchmarks/{name}/films/{film}/frame-distance-{channel}.tsv"
    conda:
        "../envs/show.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=120,
        gpu=GPUS,
    params:
        device=PLAN.base["device"],
        code=code("frame_distance"),
    script:
        "../scripts/frame_distance.py"


rule timing:
    input:
        choice="results/{name}/films/{film}/film.json",
        trajectories=candidate_batches,
        distances=frame_distances,
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
        **metric_files(),
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
        fog=PLAN.base["video"]["fog"],
        net=lpips_net(PLAN.base["metrics"]),
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
        frames=expand(
            "results/{{name}}/films/{{film}}/frames/{channel}.mkv", channel=[1, 2, 3]
        ),
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
