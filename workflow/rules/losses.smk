# Losses: what the inversions logged, as tables and as a plot of all curves; a row per trajectory, and their gallery.


rule losses:
    input:
        logs=get_logs,
    output:
        table="results/{name}/{setting}/losses.csv",
    log:
        "logs/{name}/{setting}/losses.log",
    benchmark:
        "benchmarks/{name}/{setting}/losses.tsv"
    conda:
        "../envs/show.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        seeds=PLAN.seeds,
        code=get_code("losses"),
    script:
        "../scripts/losses.py"


rule gather_losses:
    input:
        tables=PLAN.per_setting("losses.csv"),
    output:
        table="results/{name}/losses.parquet",
        plot=report(
            "results/{name}/losses.png",
            caption="../report/losses.rst",
            category="Experiment",
            labels={"shows": "loss curves"},
        ),
    log:
        "logs/{name}/gather_losses.log",
    benchmark:
        "benchmarks/{name}/gather_losses.tsv"
    conda:
        "../envs/show.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=30,
    params:
        settings=PLAN.setting_values(),
        axes=PLAN.axes,
        departures=PLAN.departures(),
        code=get_code("gather_losses"),
    script:
        "../scripts/gather_losses.py"


rule trajectory_table:
    input:
        stills=PLAN.per_setting("stills.npz"),
        metrics=PLAN.per_setting("metrics.csv"),
        losses=PLAN.per_setting("losses.csv"),
        trajectories=PLAN.all_batch_files(),
        target="results/{name}/target.png",
    output:
        table="results/{name}/trajectories.csv",
        arrivals="results/{name}/arrivals.csv",
        sheet=report(
            "results/{name}/arrivals.png",
            caption="../report/arrivals.rst",
            category="Experiment",
            labels={"shows": "arrivals compared"},
        ),
    log:
        "logs/{name}/trajectory_table.log",
    benchmark:
        "benchmarks/{name}/trajectory_table.tsv"
    conda:
        "../envs/show.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=30,
    params:
        settings=PLAN.setting_values(),
        batches=PLAN.setting_batches(),
        code=get_code("trajectory_table"),
    script:
        "../scripts/trajectory_table.py"
