# Roads: the lowest ways between a film's arrivals, where passes.films names it; and rings, which they join.


rule passes:
    input:
        unpack(get_survey_files),
        choice="results/{name}/films/{film}/film.json",
        trajectories=get_candidate_batches,
    output:
        passes="results/{name}/films/{film}/passes.safetensors",
    log:
        "logs/{name}/films/{film}/passes.log",
    benchmark:
        "benchmarks/{name}/films/{film}/passes.tsv"
    conda:
        "../envs/show.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=240,
        gpu=GPUS,
    params:
        passes={key: PLAN.base["passes"][key] for key in ("points", "steps", "free")},
        loss=get_survey_loss,
        net=get_survey_net,
        own=get_survey_own,
        device=PLAN.base["device"],
        code=get_code("passes"),
    script:
        "../scripts/passes.py"


rule draw_passes:
    input:
        choice="results/{name}/films/{film}/film.json",
        passes="results/{name}/films/{film}/passes.safetensors",
        target="results/{name}/target.png",
    output:
        sheet=report(
            "results/{name}/films/{film}/passes.png",
            caption="../report/passes.rst",
            category="Films",
            subcategory="{film}",
            labels={"shows": "passes"},
        ),
    log:
        "logs/{name}/films/{film}/draw_passes.log",
    benchmark:
        "benchmarks/{name}/films/{film}/draw_passes.tsv"
    conda:
        "../envs/show.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        tile=PLAN.base["montage"]["tile"],
        code=get_code("draw_passes"),
    script:
        "../scripts/draw_passes.py"


rule ring:
    input:
        unpack(get_survey_files),
        unpack(get_class_names),
        choice="results/{name}/films/{film}/film.json",
        trajectories=get_candidate_batches,
        losses=get_candidate_losses,
        passes=get_passes,
    output:
        trajectories="results/{name}/films/{film}/ring.safetensors",
        table="results/{name}/films/{film}/ring.csv",
    log:
        "logs/{name}/films/{film}/ring.log",
    benchmark:
        "benchmarks/{name}/films/{film}/ring.tsv"
    conda:
        "../envs/show.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=60,
        gpu=GPUS,
    params:
        settings=get_film_settings,
        loss=get_survey_loss,
        net=get_survey_net,
        own=get_survey_own,
        device=PLAN.base["device"],
        code=get_code("ring"),
    script:
        "../scripts/ring.py"
