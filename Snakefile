# Approaching Destination: plan the run, include the stages, ask for every product.
import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.0")

ROOT = Path(workflow.current_basedir)
SCRIPTS = ROOT / "workflow" / "scripts"
if str(SCRIPTS) not in sys.path:
    sys.path.append(str(SCRIPTS))  # last, so that it hides no installed package


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/sources.smk"
include: "workflow/rules/seeds.smk"
include: "workflow/rules/inversion.smk"
include: "workflow/rules/losses.smk"
include: "workflow/rules/montage.smk"
include: "workflow/rules/film.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/pictures.smk"
include: "workflow/rules/exhibition.smk"
include: "workflow/rules/page.smk"


wildcard_constraints:
    name=re.escape(PLAN.name),
    setting=SETTING,
    seeds=BATCH,
    film="[A-Za-z0-9._~+-]+",
    channel="[123]",
    file="[A-Za-z0-9._-]+",


localrules:
    all,


rule all:
    default_target: True
    input:
        get_final_products(),


onstart:
    print(get_summary(), file=sys.stderr)


onsuccess:
    print(get_closing_words(), file=sys.stderr)
