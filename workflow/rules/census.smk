# Census: which places an experiment's inversions arrive at, and what drains to each (snakemake census).


rule census:
    input:
        **PLAN.census_files(),
        stills=PLAN.per_setting("stills.npz"),
        table=f"{PLAN.results}/trajectories.csv",
        target=f"{PLAN.results}/target.png",
    output:
        census=f"{PLAN.results}/census.json",
        places=f"{PLAN.results}/places.csv",
        arrivals=f"{PLAN.results}/census.csv",
        wall=f"{PLAN.results}/census.png",
    log:
        f"logs/{PLAN.name}/census.log",
    benchmark:
        f"benchmarks/{PLAN.name}/census.tsv"
    conda:
        "../envs/show.yaml"
    threads: 2
    resources:
        mem_mb=8000,
        runtime=120,
        gpu=GPUS,
    params:
        settings=list(PLAN.settings),
        apart=PLAN.base["census"]["apart"],
        net=PLAN.lpips_net(PLAN.base["metrics"]),
        title=f"{PLAN.name}: a census of places",
        device=PLAN.base["device"],
        code=get_code("census"),
    script:
        "../scripts/census.py"
