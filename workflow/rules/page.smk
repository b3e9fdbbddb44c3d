# Page: the experiment as one page that opens from disk.


rule page:
    input:
        triptychs=PLAN.per_film("triptych.mp4"),
        choices=PLAN.per_film("film.json"),
        timings=PLAN.per_film("timing.json"),
        surveys=PLAN.per_panorama("panorama.npz"),
        maps=PLAN.per_panorama("panorama-map.png"),
        panoramas=PLAN.per_panorama("panorama.png"),
        itineraries=PLAN.per_film("itinerary.json"),
        passes=list(PLAN.panorama_passes().values()),
        tree=PLAN.tree(),
        losses=PLAN.per_setting("losses.csv"),
        made=list(PLAN.made_tables().values()),
        stills=PLAN.per_setting("stills.npz"),
        arrivals="results/{name}/arrivals.csv",
        record="results/{name}/experiment.yaml",
        target="results/{name}/target.png",
    output:
        page="results/{name}/page/index.html",
    log:
        "logs/{name}/page.log",
    benchmark:
        "benchmarks/{name}/page.tsv"
    conda:
        "../envs/show.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=10,
    params:
        films=PLAN.survey_losses(),
        passes=list(PLAN.panorama_passes()),
        links=PLAN.page_links(),
        notes=PLAN.notes,
        settings=list(PLAN.settings),
        made=list(PLAN.made_tables()),
        templates=get_templates("page.html.j2", "page.css", "page.js"),
        code=get_code("page"),
    script:
        "../scripts/page.py"
