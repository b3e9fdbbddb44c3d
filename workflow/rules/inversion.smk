# Inversion: a batch of seeds of one setting, from their starts to their arrivals.


rule invert:
    input:
        unpack(get_inversion_files),
    output:
        trajectories="results/{name}/{setting}/trajectories/{seeds}.safetensors",
        table="results/{name}/{setting}/trajectories/{seeds}.csv",
    log:
        "logs/{name}/{setting}/invert/{seeds}.log",
    benchmark:
        "benchmarks/{name}/{setting}/invert/{seeds}.tsv"
    priority: 20  # everything waits for it
    conda:
        "../envs/inversion.yaml"
    threads: PLAN.base["threads"]
    resources:
        mem_mb=8000,
        runtime=24 * 60,
        gpu=GPUS,
    params:
        config=get_inversion_config,
        labels=get_inversion_labels,
        begin=get_begin,
        code=get_code("invert"),
    script:
        "../scripts/invert.py"


# A start that is a picture: the picture, made square as the target is, and its inversions.


rule prepare_start:
    input:
        unpack(get_start_picture),
    output:
        target="results/{name}/starts/{start}/target.png",
    log:
        "logs/{name}/starts/{start}/prepare_start.log",
    benchmark:
        "benchmarks/{name}/starts/{start}/prepare_start.tsv"
    conda:
        "../envs/inversion.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=10,
    params:
        picture=get_start_picture_file,
        target=get_start_target,
        code=get_code("prepare_target"),
    script:
        "../scripts/prepare_target.py"


rule invert_start:
    input:
        unpack(get_start_files),
    output:
        trajectories="results/{name}/starts/{start}/trajectories/{seeds}.safetensors",
        table="results/{name}/starts/{start}/trajectories/{seeds}.csv",
    log:
        "logs/{name}/starts/{start}/invert/{seeds}.log",
    benchmark:
        "benchmarks/{name}/starts/{start}/invert/{seeds}.tsv"
    conda:
        "../envs/inversion.yaml"
    threads: PLAN.base["threads"]
    resources:
        mem_mb=8000,
        runtime=24 * 60,
        gpu=GPUS,
    params:
        config=get_start_config,
        labels=get_start_labels,
        code=get_code("invert"),
    script:
        "../scripts/invert.py"
