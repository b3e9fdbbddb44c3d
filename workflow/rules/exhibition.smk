# Exhibition: a film for three screens and one wide one, in two forms, with a line-up clip and an installation page.


wildcard_constraints:
    screen="left|centre|right|wide",
    form="mov|mp4",


rule exhibition:
    input:
        choice="results/{name}/films/{film}/film.json",
        timing="results/{name}/films/{film}/timing.json",
        frames=expand(
            "results/{{name}}/films/{{film}}/frames/{channel}.mkv",
            channel=[1, 2, 3],
        ),
        checksums=expand(
            "results/{{name}}/films/{{film}}/frames/{channel}.sha256",
            channel=[1, 2, 3],
        ),
        losses=get_caption_losses,
    output:
        film="results/{name}/films/{film}/exhibition/{screen}.{form}",
    log:
        "logs/{name}/films/{film}/exhibition/{screen}.{form}.log",
    benchmark:
        "benchmarks/{name}/films/{film}/exhibition/{screen}.{form}.tsv"
    conda:
        "../envs/show.yaml"
    threads: 2
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        video=get_exhibition_video,
        metadata=get_metadata,
        settings=get_caption_settings,
        code=get_code("exhibition"),
    script:
        "../scripts/exhibition.py"


rule line_up:
    output:
        film="results/{name}/films/{film}/exhibition/line-up-{screen}.mp4",
    log:
        "logs/{name}/films/{film}/exhibition/line-up-{screen}.log",
    benchmark:
        "benchmarks/{name}/films/{film}/exhibition/line-up-{screen}.tsv"
    conda:
        "../envs/show.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        video=get_video("frame", "height", "fps", "preset", "mbit", "gop"),
        code=get_code("line_up"),
    script:
        "../scripts/line_up.py"


rule installation:
    input:
        choice="results/{name}/films/{film}/film.json",
        record="results/{name}/experiment.yaml",
        files=expand(
            "results/{{name}}/films/{{film}}/exhibition/{file}",
            file=EXHIBITION_FILES,
        ),
    output:
        page="results/{name}/films/{film}/exhibition/index.html",
        files="results/{name}/films/{film}/exhibition/files.json",
    log:
        "logs/{name}/films/{film}/exhibition/installation.log",
    benchmark:
        "benchmarks/{name}/films/{film}/exhibition/installation.tsv"
    conda:
        "../envs/show.yaml"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        video=get_video(
            "frame",
            "fill",
            "height",
            "fps",
            "loop",
            "captions",
            "gop",
            "repeat_hours",
        ),
        templates=get_templates("installation.html.j2", "page.css"),
        code=get_code("installation"),
    script:
        "../scripts/installation.py"


rule repeat:
    input:
        timing="results/{name}/films/{film}/timing.json",
        film="results/{name}/films/{film}/exhibition/{screen}.mp4",
    output:
        film="results/{name}/films/{film}/exhibition/repeated/{screen}.mp4",
    log:
        "logs/{name}/films/{film}/exhibition/repeat-{screen}.log",
    benchmark:
        "benchmarks/{name}/films/{film}/exhibition/repeat-{screen}.tsv"
    conda:
        "../envs/show.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        video=get_video("repeat_hours"),
        code=get_code("repeat"),
    script:
        "../scripts/repeat.py"


rule players:
    input:
        unpack(get_player_films),
    output:
        players=directory("results/{name}/films/{film}/exhibition/players"),
    log:
        "logs/{name}/films/{film}/exhibition/players.log",
    benchmark:
        "benchmarks/{name}/films/{film}/exhibition/players.tsv"
    conda:
        "../envs/show.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        files=get_player_digests(),
        code=get_code("players"),
    script:
        "../scripts/players.py"
