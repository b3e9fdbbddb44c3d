# Crate: the results folder as a Workflow Run RO-Crate, for archives and for other people's tools (snakemake crate).


rule crate:
    input:
        get_final_products(),
        record=f"{PLAN.results}/experiment.yaml",
        trajectories=PLAN.all_batch_files(),
    output:
        metadata=f"{PLAN.results}/ro-crate-metadata.json",
        workflow=f"{PLAN.results}/workflow/Snakefile",
    log:
        f"logs/{PLAN.name}/crate.log",
    benchmark:
        f"benchmarks/{PLAN.name}/crate.tsv"
    conda:
        "../envs/show.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        workflow=str(SCRIPTS.parent / "Snakefile"),
        code=get_code("crate"),
    script:
        "../scripts/crate.py"
