# Montage: stills at chosen moments, measured; a contact sheet per setting and one of the whole experiment.


rule stills:
    input:
        unpack(get_still_files),
        trajectories=get_batches,
    output:
        stills="results/{name}/{setting}/stills.npz",
        metrics="results/{name}/{setting}/metrics.csv",
    log:
        "logs/{name}/{setting}/stills.log",
    benchmark:
        "benchmarks/{name}/{setting}/stills.tsv"
    conda:
        "../envs/show.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
        gpu=GPUS,
    params:
        seeds=PLAN.seeds,
        moments=PLAN.base["montage"]["moments"],
        metrics=PLAN.base["metrics"],
        net=PLAN.lpips_net(PLAN.base["metrics"]),
        device=PLAN.base["device"],
        code=get_code("stills"),
    script:
        "../scripts/stills.py"


rule montage:
    input:
        stills="results/{name}/{setting}/stills.npz",
        losses="results/{name}/{setting}/losses.csv",
        trajectories=get_batches,
        target=get_setting_target,
    output:
        sheet=report(
            "results/{name}/{setting}/montage.png",
            caption="../report/montage.rst",
            category="Settings",
            subcategory="{setting}",
            labels={"shows": "contact sheet"},
        ),
    log:
        "logs/{name}/{setting}/montage.log",
    benchmark:
        "benchmarks/{name}/{setting}/montage.tsv"
    conda:
        "../envs/show.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=10,
    params:
        tile=PLAN.base["montage"]["tile"],
        code=get_code("montage"),
    script:
        "../scripts/montage.py"


rule montage_of_arrivals:
    input:
        stills=PLAN.per_setting("stills.npz"),
        trajectory_table="results/{name}/trajectories.csv",
        target="results/{name}/target.png",
    output:
        sheet=report(
            "results/{name}/montage.png",
            caption="../report/montage_of_arrivals.rst",
            category="Experiment",
            labels={"shows": "arrivals by setting and seed"},
        ),
    log:
        "logs/{name}/montage_of_arrivals.log",
    benchmark:
        "benchmarks/{name}/montage_of_arrivals.tsv"
    conda:
        "../envs/show.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=30,
    params:
        settings=list(PLAN.settings),
        tile=PLAN.base["montage"]["tile"],
        code=get_code("montage_of_arrivals"),
    script:
        "../scripts/montage_of_arrivals.py"
