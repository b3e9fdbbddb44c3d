# Verify: the sha256 of every product, recorded last; `snakemake verify` compares them and the sources with what is there.


rule checksums:
    input:
        PLAN.checked_products(),
    output:
        checksums="results/{name}/checksums.sha256",
    log:
        "logs/{name}/checksums.log",
    benchmark:
        "benchmarks/{name}/checksums.tsv"
    conda:
        "../envs/show.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        code=get_code("checksums"),
    script:
        "../scripts/checksums.py"


# Asked for by name, never by another rule: it has no inputs, which would be made anew, and no outputs, so it always runs.
rule verify:
    log:
        f"logs/{PLAN.name}/verify.log",
    conda:
        "../envs/show.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        folder=PLAN.results,
        products=PLAN.checked_products(),
        sources=PLAN.all_inversion_files(),
        picture=picture_file(PLAN.base),
    script:
        "../scripts/verify.py"
