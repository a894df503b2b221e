# sclatent: compared, scored and reproducible latent spaces of single-cell data.
#
# fetch -> ingest -> preprocess -> train -> encode -> embed -> cluster -> score -> collect
#                                  train -> perturb, generate ------------------> collect
#                                                           collect -> figures -> report
#
# One file of rules per stage. `snakemake` runs the studies that config/config.yaml names.


from snakemake.utils import min_version

min_version("9.27")  # no older version was tested


include: "workflow/rules/common.smk"
include: "workflow/rules/fetch.smk"
include: "workflow/rules/ingest.smk"
include: "workflow/rules/preprocess.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/encode.smk"
include: "workflow/rules/embed.smk"
include: "workflow/rules/cluster.smk"
include: "workflow/rules/score.smk"
include: "workflow/rules/perturb.smk"
include: "workflow/rules/generate.smk"
include: "workflow/rules/collect.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/export.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/paper.smk"


report: first_page()


rule all:
    default_target: True
    input:
        "results/report.html",
        [path for study in CONFIG.run for path in PLAN.exports_of(study)],


onstart:
    HOOKS.begin()


onsuccess:
    HOOKS.print_headlines()


onerror:
    HOOKS.print_faults(log)
