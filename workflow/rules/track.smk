# Track: what the inversions logged, replayed into TensorBoard, MLflow or Trackio (track=...), setting by setting.


rule track_setting:
    input:
        losses="results/{name}/{setting}/losses.csv",
        metrics="results/{name}/{setting}/metrics.csv",
        stills="results/{name}/{setting}/stills.npz",
    output:
        runs="results/{name}/{setting}/tracked-{tracker}.json",
    log:
        "logs/{name}/{setting}/track-{tracker}.log",
    benchmark:
        "benchmarks/{name}/{setting}/track-{tracker}.tsv"
    conda:
        "../envs/show.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        config=get_tracked_config,
        tracker=PLAN.base["track"],
        code=get_code("track"),
    script:
        "../scripts/track.py"


rule track_experiment:
    input:
        PLAN.tracked_pictures(),
    output:
        runs="results/{name}/tracked-{tracker}.json",
    log:
        "logs/{name}/track-{tracker}.log",
    benchmark:
        "benchmarks/{name}/track-{tracker}.tsv"
    conda:
        "../envs/show.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        config=PLAN.recorded_config(),
        tracker=PLAN.base["track"],
        code=get_code("track"),
    script:
        "../scripts/track.py"
