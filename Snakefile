# sclatent: compared, scored and reproducible latent spaces of single-cell data.
#
# fetch -> ingest -> preprocess -> train -> encode -> embed -> cluster -> score -> collect -> figures -> report
#                                        \-> perturb, generate ------------------/
# One file of rules a stage. `snakemake` runs the studies that config/config.yaml names; see README.md.


configfile: "config/datasets.yaml"
configfile: "config/models.yaml"
configfile: "config/reference/report.yaml"
configfile: "config/reference/scgen.yaml"
configfile: "config/reference/thesis.yaml"
configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/common_figures.smk"
include: "workflow/rules/common_report.smk"
include: "workflow/rules/common_paper.smk"
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
        [path for study in CONFIG.run for path in exports_of(study)],


onsuccess:
    print_headlines()


onerror:
    print_faults(log)
