# The workflow is workflow/Snakefile; Snakemake takes no default target from an included file, so it is named here.
include: "workflow/Snakefile"


workflow.default_target = rules.all.rule.name
