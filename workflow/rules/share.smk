# Share: a film for messages, web pages and walls (snakemake share): WebM, animated WebP, stills, poster, card.


rule share_film:
    input:
        choice="results/{name}/films/{film}/film.json",
        timing="results/{name}/films/{film}/timing.json",
        film="results/{name}/films/{film}/triptych.mp4",
        frames=expand(
            "results/{{name}}/films/{{film}}/frames/{channel}.mkv",
            channel=[1, 2, 3],
        ),
        losses=get_caption_losses,
    output:
        webm="results/{name}/films/{film}/share/triptych.webm",
        webp="results/{name}/films/{film}/share/triptych.webp",
        stills=expand(
            "results/{{name}}/films/{{film}}/share/still-{number}.png",
            number=range(1, 6),
        ),
    log:
        "logs/{name}/films/{film}/share.log",
    benchmark:
        "benchmarks/{name}/films/{film}/share.tsv"
    conda:
        "../envs/show.yaml"
    threads: 2
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        look=get_video("size", "gap", "captions"),
        settings=get_caption_settings,
        metadata=get_metadata,
        code=get_code("share"),
    script:
        "../scripts/share.py"


rule poster:
    input:
        choice="results/{name}/films/{film}/film.json",
        stills=get_film_stills,
        survey=get_survey,
        record="results/{name}/experiment.yaml",
        target="results/{name}/target.png",
    output:
        a2="results/{name}/films/{film}/share/poster-a2.png",
        a3="results/{name}/films/{film}/share/poster-a3.png",
        pdf="results/{name}/films/{film}/share/poster.pdf",
        card="results/{name}/films/{film}/share/card.png",
    log:
        "logs/{name}/films/{film}/poster.log",
    benchmark:
        "benchmarks/{name}/films/{film}/poster.tsv"
    conda:
        "../envs/show.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        settings=get_film_settings,
        loss=get_survey_loss_name,
        colours=PLAN.base["panorama"]["colours"],
        code=get_code("poster"),
    script:
        "../scripts/poster.py"


rule share:
    input:
        get_shared_files,
    output:
        checksums=f"{PLAN.results}/share.sha256",
    log:
        f"logs/{PLAN.name}/share.log",
    benchmark:
        f"benchmarks/{PLAN.name}/share.tsv"
    conda:
        "../envs/show.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=get_code("checksums"),
    script:
        "../scripts/checksums.py"
