# Page: the experiment as one page that opens from disk.


rule page:
    input:
        templates=expand(
            f"{TEMPLATES}/{{file}}", file=["page.html.j2", "page.css", "page.js"]
        ),
        triptychs=film_files("triptych.mp4"),
        choices=film_files("film.json"),
        timings=film_files("timing.json"),
        surveys=film_files("panorama.npz"),
        maps=film_files("panorama-map.png"),
        itineraries=film_files("itinerary.json"),
        losses=per_setting("losses.csv"),
        stills=per_setting("stills.npz"),
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
        films=panorama_losses(),
        film_files=film_products(),
        whole=WHOLE_PRODUCTS,
        notes=PLAN.notes,
        settings=list(PLAN.settings),
        code=code("page"),
    script:
        "../scripts/page.py"
