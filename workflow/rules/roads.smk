# Roads: the lowest ways between arrivals, of a film (passes.films) or an experiment (passes.arrivals); and rings.


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
        passes=some_of(PLAN.base["passes"], "points", "steps", "free"),
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


rule passes_of_arrivals:
    input:
        **PLAN.measuring_files(PLAN.arrivals_loss()),
        table="results/{name}/trajectories.csv",
        trajectories=PLAN.all_batch_files(),
    output:
        passes="results/{name}/passes.safetensors",
    log:
        "logs/{name}/passes_of_arrivals.log",
    benchmark:
        "benchmarks/{name}/passes_of_arrivals.tsv"
    conda:
        "../envs/show.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=24 * 60,
        gpu=GPUS,
    params:
        passes=some_of(
            PLAN.base["passes"],
            "points",
            "steps",
            "free",
            "arrivals",
        ),
        loss=PLAN.arrivals_loss(),
        net=PLAN.lpips_net(PLAN.arrivals_loss()["terms"]),
        own=PLAN.own_terms(PLAN.arrivals_loss()),
        device=PLAN.base["device"],
        code=get_code("passes"),
    script:
        "../scripts/passes.py"


rule draw_tree:
    input:
        passes="results/{name}/passes.safetensors",
        target="results/{name}/target.png",
    output:
        tree=report(
            "results/{name}/tree.png",
            caption="../report/tree.rst",
            category="Experiment",
            labels={"shows": "how arrivals hang together"},
        ),
        sheet=report(
            "results/{name}/passes.png",
            caption="../report/passes.rst",
            category="Experiment",
            labels={"shows": "passes"},
        ),
    log:
        "logs/{name}/draw_tree.log",
    benchmark:
        "benchmarks/{name}/draw_tree.tsv"
    conda:
        "../envs/show.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        tile=PLAN.base["montage"]["tile"],
        code=get_code("draw_tree"),
    script:
        "../scripts/draw_tree.py"


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
