# Pictures: what explains the trajectories. Panorama and itinerary of a film; metrics of the experiment.


rule survey:
    input:
        unpack(get_survey_files),
        choice="results/{name}/films/{film}/film.json",
        trajectories=get_shown_batches,
    output:
        survey="results/{name}/films/{film}/panorama.npz",
    log:
        "logs/{name}/films/{film}/survey.log",
    benchmark:
        "benchmarks/{name}/films/{film}/survey.tsv"
    priority: 5  # its panorama waits for it
    conda:
        "../envs/show.yaml"
    threads: IMAGE_THREADS
    resources:
        mem_mb=4000,
        runtime=240,
        gpu=GPUS,
    params:
        loss=get_survey_loss,
        grid=PLAN.base["panorama"]["grid"],
        net=get_survey_net,
        own=get_survey_own,
        device=PLAN.base["device"],
        code=get_code("survey"),
    script:
        "../scripts/survey.py"


rule panorama:
    input:
        choice="results/{name}/films/{film}/film.json",
        survey="results/{name}/films/{film}/panorama.npz",
        passes=get_passes,
    output:
        plot=report(
            "results/{name}/films/{film}/panorama.png",
            caption="../report/panorama.rst",
            category="Films",
            subcategory="{film}",
            labels={"shows": "panorama"},
        ),
        map="results/{name}/films/{film}/panorama-map.png",
    log:
        "logs/{name}/films/{film}/panorama.log",
    benchmark:
        "benchmarks/{name}/films/{film}/panorama.tsv"
    conda:
        "../envs/show.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        loss=get_survey_loss_name,
        mixed=has_mixed_losses,
        colours=PLAN.base["panorama"]["colours"],
        code=get_code("panorama"),
    script:
        "../scripts/panorama.py"


rule itinerary:
    input:
        **generator_files(PLAN.base, "architecture", "class_names"),
        choice="results/{name}/films/{film}/film.json",
        trajectories=get_shown_batches,
    output:
        plot=report(
            "results/{name}/films/{film}/itinerary.png",
            caption="../report/itinerary.rst",
            category="Films",
            subcategory="{film}",
            labels={"shows": "itinerary"},
        ),
        table="results/{name}/films/{film}/itinerary.csv",
        streams="results/{name}/films/{film}/itinerary.json",
    log:
        "logs/{name}/films/{film}/itinerary.log",
    benchmark:
        "benchmarks/{name}/films/{film}/itinerary.tsv"
    conda:
        "../envs/show.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        code=get_code("itinerary"),
    script:
        "../scripts/itinerary.py"


rule plot_metrics:
    input:
        trajectory_table="results/{name}/trajectories.csv",
    output:
        plot=report(
            "results/{name}/metrics.png",
            caption="../report/metrics.rst",
            category="Experiment",
            labels={"shows": "metrics"},
        ),
    log:
        "logs/{name}/plot_metrics.log",
    benchmark:
        "benchmarks/{name}/plot_metrics.tsv"
    conda:
        "../envs/show.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        axes=list(PLAN.axes),
        code=get_code("plot_metrics"),
    script:
        "../scripts/plot_metrics.py"
