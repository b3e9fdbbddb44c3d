# Seeds: where the walks began. A product, read from the walks; the starts themselves are drawn batch by batch.


rule starts:
    input:
        **metric_files(),
        trajectories=all_batches,
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
        batches={setting.id: setting.batches for setting in PLAN.settings.values()},
        code=code("starts"),
    script:
        "../scripts/starts.py"
