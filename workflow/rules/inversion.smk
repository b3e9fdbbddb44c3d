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
        code=get_code("invert"),
    script:
        "../scripts/invert.py"
