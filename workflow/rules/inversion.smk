# Inversion: a batch of seeds of one setting, walked from their starts to the last step.


rule invert:
    input:
        unpack(inversion_files),
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
        config=inversion_params,
        labels=inversion_labels,
        code=code("invert"),
    script:
        "../scripts/invert.py"
