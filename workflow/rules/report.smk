# Report: films as snakemake --report can play them (a bare mp4 is only a download there).


rule viewer:
    input:
        films=expand(
            "results/{{name}}/films/{{film}}/{file}.mp4",
            file=["triptych", "channel-1", "channel-2", "channel-3"],
        ),
    output:
        viewer=report(
            directory("results/{name}/films/{film}/viewer"),
            htmlindex="index.html",
            caption="../report/viewer.rst",
            category="Films",
            subcategory="{film}",
            labels={"shows": "the film"},
        ),
    log:
        "logs/{name}/films/{film}/viewer.log",
    benchmark:
        "benchmarks/{name}/films/{film}/viewer.tsv"
    conda:
        "../envs/show.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=get_code("viewer"),
    script:
        "../scripts/viewer.py"
