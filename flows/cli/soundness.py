"""The commands that say whether something is sound: this machine, and the product itself."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli.arguments import err, out
from flows.options import CatalogFile, LakeAddress, ModelsDir


def doctor(lake: LakeAddress = "lake", catalog: CatalogFile = None, models_dir: ModelsDir = None) -> None:
    """Check versions, devices, server, disk and catalog, and say what to do."""
    from flows.cli.doctor import diagnose, print_diagnoses

    diagnoses = diagnose(lake, catalog, models_dir)
    print_diagnoses(diagnoses, out)
    if any(diagnosis.state == "fault" for diagnosis in diagnoses):
        raise typer.Exit(1)


def validate(
    quick: Annotated[bool, typer.Option("--quick", help="Fewer and smaller data sets.")] = False,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Of the generated data.")] = None,
    lake: Annotated[
        str | None, typer.Option("--lake", help="Also permute the labels of a cell of this lake.")
    ] = None,
) -> None:
    """Measure the tests themselves: level, power, coverage, recovery of what was planted."""
    from flows.cli.validate import print_outcome, run
    from u1core.validate.stages import SEED

    outcome = run(quick=quick, seed=SEED if seed is None else seed, lake=lake, err=err)
    print_outcome(outcome, out)
    if outcome.failed:
        names = "; ".join(f.test for f in outcome.failed)
        err.print(
            f"u1: {len(outcome.failed)} of {len(outcome.findings)} failed: {names}",
            highlight=False,
            markup=False,
        )
        raise typer.Exit(1)
    out.print(f"all {len(outcome.findings)} passed", highlight=False)
