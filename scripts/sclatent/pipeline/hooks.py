"""What happens before the first job of a run and at its end."""

import sys
from pathlib import Path

from sclatent.common.errors import UserError
from sclatent.pipeline.failures import explain
from sclatent.pipeline.plan import Plan
from sclatent.pipeline.preflight import check_folder, stamp_records

PAGE = Path("results/report.html")


class Hooks:
    """The hooks of a run; made when the rules are read, so that it knows what was there before."""

    def __init__(self, plan: Plan):
        self.plan = plan
        self.page_before = _time_of_page()

    def begin(self) -> None:
        """Check the folder of results before the first job, and stamp it."""
        try:
            check_folder()
            stamp_records()
        except UserError as error:
            sys.exit(f"sclatent: {error}")

    def print_headlines(self) -> None:
        """Print the headline of each study and the place of the report, if this run built it."""
        if _time_of_page() == self.page_before:
            return
        for name in self.plan.config.run:
            headline = Path(f"results/studies/{name}/headline.txt").read_text()
            _, table = headline.split("\n", maxsplit=1)  # the first line is the provenance
            study = self.plan.study(name)
            print(f"\n{study.title}: mean ± sd over {len(study.seeds)} seeds\n\n{table}")
        print(f"Report: {PAGE}")

    def print_faults(self, logs: list[str]) -> None:
        """Print what Snakemake's logs say of killed jobs and of faults of the machine."""
        log = "\n".join(Path(path).read_text(errors="replace") for path in logs)
        for line in explain(log):
            print(f"sclatent: {line}", file=sys.stderr)


def _time_of_page() -> int | None:
    return PAGE.stat().st_mtime_ns if PAGE.exists() else None
