# Sources: the generator's weights, the LPIPS backbone and the target, fetched where they are not here yet.


rule fetch:
    output:
        file=Path(DOWNLOADS, "{file}"),
    log:
        Path("logs", PLAN.name, "fetch", "{file}.log"),
    benchmark:
        Path("benchmarks", PLAN.name, "fetch", "{file}.tsv")
    conda:
        "../envs/inversion.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=120,
    params:
        source=get_download,
    script:
        "../scripts/fetch.py"


rule prepare_target:
    input:
        **PLAN.target_files(),
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
        picture=get_picture,
        target=get_target_config,
        code=get_code("prepare_target"),
    script:
        "../scripts/prepare_target.py"


rule prepare_destination:
    input:
        unpack(get_destination_picture),
    output:
        target="results/{name}/targets/{number}.png",
    log:
        "logs/{name}/targets/{number}.log",
    benchmark:
        "benchmarks/{name}/targets/{number}.tsv"
    conda:
        "../envs/inversion.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=10,
    params:
        picture=get_destination_picture_file,
        target=get_destination_target,
        code=get_code("prepare_target"),
    script:
        "../scripts/prepare_target.py"


rule provenance:
    input:
        trajectories=PLAN.all_batch_files(),
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
        config=PLAN.recorded_config(),
        settings=PLAN.setting_values(),
        films=PLAN.films,
        code=get_code("provenance"),
    script:
        "../scripts/provenance.py"


rule known_classes:
    input:
        **generator_files(PLAN.base),
        target=PLAN.target,
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
        code=get_code("known_classes"),
    script:
        "../scripts/known_classes.py"


rule first_contact:
    input:
        record=f"{PLAN.results}/experiment.yaml",
        trajectory_table=f"{PLAN.results}/trajectories.csv",
        losses=PLAN.per_setting("losses.csv")[0],
        classes=f"{PLAN.results}/known-classes.png",
        montage=PLAN.per_setting("montage.png")[0],
    output:
        report=f"{PLAN.results}/first-contact.md",
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
        code=get_code("first_contact"),
    script:
        "../scripts/first_contact.py"
