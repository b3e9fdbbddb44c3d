# Sources: the generator's weights, the LPIPS backbone and the target, fetched where they are not here yet.


rule fetch:
    output:
        file=f"{planning.DOWNLOADS}/{{file}}",
    log:
        f"logs/{PLAN.name}/fetch/{{file}}.log",
    benchmark:
        f"benchmarks/{PLAN.name}/fetch/{{file}}.tsv"
    conda:
        "../envs/inversion.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=120,
    params:
        source=download,
    script:
        "../scripts/fetch.py"


rule prepare_target:
    input:
        picture=planning.picture_file(PLAN.base),
        architecture=PLAN.base["generator"]["config"],
    output:
        target="results/{name}/target.png",
    log:
        "logs/{name}/prepare_target.log",
    benchmark:
        "benchmarks/{name}/prepare_target.tsv"
    conda:
        "../envs/inversion.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=10,
    params:
        target={key: PLAN.base["target"][key] for key in ("fit", "focus")},
        code=code("prepare_target"),
    script:
        "../scripts/prepare_target.py"


rule provenance:
    input:
        **metric_files(),
        trajectories=all_batches,
    output:
        record="results/{name}/experiment.yaml",
    log:
        "logs/{name}/provenance.log",
    benchmark:
        "benchmarks/{name}/provenance.tsv"
    conda:
        "../envs/show.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        config=recorded_config(),
        settings={setting.id: setting.values for setting in PLAN.settings.values()},
        films=PLAN.films,
        code=code("provenance"),
    script:
        "../scripts/provenance.py"


rule known_classes:
    input:
        **metric_files(),
    output:
        sheet="results/{name}/known-classes.png",
    log:
        "logs/{name}/known_classes.log",
    benchmark:
        "benchmarks/{name}/known_classes.tsv"
    conda:
        "../envs/show.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        generator=PLAN.base["generator"]["name"],
        truncation=PLAN.base["generator"]["truncation"],
        device=PLAN.base["device"],
        classes=[
            "alp",
            "cliff",
            "valley",
            "seashore",
            "volcano",
            "golden retriever",
            "monarch",
            "castle",
        ],
        pictures=4,
        seed=0,
        code=code("known_classes"),
    script:
        "../scripts/known_classes.py"


rule first_contact:
    input:
        record=f"{RESULTS}/experiment.yaml",
        trajectory_table=f"{RESULTS}/trajectories.csv",
        losses=per_setting("losses.csv")[0],
        classes=f"{RESULTS}/known-classes.png",
        montage=per_setting("montage.png")[0],
    output:
        report=f"{RESULTS}/first-contact.md",
    log:
        f"logs/{PLAN.name}/first_contact.log",
    benchmark:
        f"benchmarks/{PLAN.name}/first_contact.tsv"
    conda:
        "../envs/show.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        code=code("first_contact"),
    script:
        "../scripts/first_contact.py"
