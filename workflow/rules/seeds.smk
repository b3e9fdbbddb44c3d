# Seeds: where the inversions began, read from their trajectories; each job draws the starts of its own batch.


rule starts:
    input:
        **generator_files(PLAN.base, "architecture", "class_names"),
        trajectories=PLAN.all_batch_files(),
    output:
        table="results/{name}/starts.csv",
    log:
        "logs/{name}/starts.log",
    benchmark:
        "benchmarks/{name}/starts.tsv"
    conda:
        "../envs/show.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        batches=PLAN.setting_batches(),
        code=get_code("starts"),
    script:
        "../scripts/starts.py"
