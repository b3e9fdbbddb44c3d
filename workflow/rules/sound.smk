# Sound: the channels of a film with the loss to be heard (video.sound=loss). Players want none: exhibitions have none.


rule sound:
    input:
        choice="results/{name}/films/{film}/film.json",
        timing="results/{name}/films/{film}/timing.json",
        films=expand(
            "results/{{name}}/films/{{film}}/channel-{channel}.mp4",
            channel=[1, 2, 3],
        ),
        losses=get_candidate_losses,
    output:
        films=expand(
            "results/{{name}}/films/{{film}}/channel-{channel}-sound.mp4",
            channel=[1, 2, 3],
        ),
    log:
        "logs/{name}/films/{film}/sound.log",
    benchmark:
        "benchmarks/{name}/films/{film}/sound.tsv"
    conda:
        "../envs/show.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        video=get_video("loop"),
        settings=get_film_settings,
        code=get_code("sound"),
    script:
        "../scripts/sound.py"
