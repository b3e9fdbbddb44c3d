# Report: films as snakemake --report can play them (a bare mp4 is only a download there).


rule player:
    input:
        films=expand(
            "results/{{name}}/films/{{film}}/{file}.mp4",
            file=["triptych", "channel-1", "channel-2", "channel-3"],
        ),
    output:
        player=report(
            directory("results/{name}/films/{film}/player"),
            htmlindex="index.html",
            caption="../report/player.rst",
            category="Films",
            subcategory="{film}",
            labels={"shows": "the film"},
        ),
    log:
        "logs/{name}/films/{film}/player.log",
    benchmark:
        "benchmarks/{name}/films/{film}/player.tsv"
    conda:
        "../envs/show.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=get_code("player"),
    script:
        "../scripts/player.py"
