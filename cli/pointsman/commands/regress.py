"""`pointsman regress`."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from pointsman.commands.loading import good
from pointsman.errors import Refusal, UserError
from pointsman.regression.asking import ask
from pointsman.regression.comparing import Run, Verdict, lacking, passes, summary
from pointsman.regression.reading import read_suite
from pointsman.regression.recording import recorder
from pointsman.regression.reports import record as recorded
from pointsman.regression.reports import report
from pointsman.regression.sides import Asker, Side, of_models, of_policies, of_route
from pointsman.running import SocketError
from pointsman.serviceable import keyless, uncompiled
from pointsman.worlds import Secret
from pointsman_sidecar.telemetry import logs


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """What is compared, as the options say. Exactly one way of three."""

    baseline: str
    candidate: str
    route: str
    candidate_files: tuple[Path, ...]


def regress(
    suite_file: Path,
    files: Sequence[Path],
    *,
    choice: Choice,
    namespace: str | None,
    labels: Mapping[str, str],
    secrets: Sequence[Secret],
    allow: int,
    repeat: int,
    concurrency: int,
    record: str,
    json_file: Path | None,
    environment: Mapping[str, str],
    log_level: str,
    out: Console,
    err: Console,
) -> bool:
    """Ask both sides, print what came of it, and say whether the candidate passed.

    Raises:
        UserError: something cannot be used as given, or be written.
    """
    suite = read_suite(suite_file)
    _check(choice, suite_file=suite_file, files=files, record=record)
    sides = _sides(choice, files, asker=Asker(namespace=namespace, labels=labels, secrets=tuple(secrets)))
    for side in sides:
        _check_side(side)
    writer = recorder(record) if record else None
    logs.configure(log_level)
    log: structlog.stdlib.BoundLogger = structlog.get_logger("pointsman.regress")
    # Where nobody sees it move, it is not drawn.
    with Progress(console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task(suite.name, total=2 * repeat * len(suite.cases))
        try:
            cases = asyncio.run(
                ask(
                    suite.cases,
                    sides,
                    repeat=repeat,
                    concurrency=concurrency,
                    environment=environment,
                    asked=lambda: progress.advance(task),
                    log=log,
                )
            )
        except SocketError as error:
            raise UserError(str(error)) from error
    verdict = Verdict(cases=cases, allowed=allow)
    at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    out.print(f"{suite.name}, {_number(len(suite.cases), 'case')}: {_called(sides[0])} beside {_called(sides[1])}")
    _print(verdict, out=out)
    if json_file is not None:
        _write(json_file, json.dumps(report(suite, sides, verdict, at=at), indent=2) + "\n")
    if writer is not None:
        out.print(writer.write(suite.name, recorded(suite, sides, verdict, at=at)))
    return verdict.passed


def _check(choice: Choice, *, suite_file: Path, files: Sequence[Path], record: str) -> None:
    models = bool(choice.baseline or choice.candidate)
    if [models, bool(choice.route), bool(choice.candidate_files)].count(True) != 1:
        raise UserError(
            "say in one way what is compared: --baseline MODEL --candidate MODEL, --route NAME or --candidate-file FILE"
        )
    if models and not (choice.baseline and choice.candidate):
        missing = "--candidate" if choice.baseline else "--baseline"
        raise UserError(f"{missing} is missing: name the models of both sides")
    if record and choice.candidate_files:
        raise UserError("--record is for two models of a policy: leave it out with --candidate-file")
    if [str(each) for each in (suite_file, *files, *choice.candidate_files)].count("-") > 1:
        raise UserError("standard input can be read once: give files for all but one")


def _sides(choice: Choice, files: Sequence[Path], *, asker: Asker) -> tuple[Side, Side]:
    manifests = good(files, namespace=asker.namespace)
    if choice.candidate_files:
        other = good(choice.candidate_files, namespace=asker.namespace)
        return of_policies(manifests, other, asker=asker)
    if choice.route:
        return of_route(manifests, route=choice.route, asker=asker)
    return of_models(manifests, baseline=choice.baseline, candidate=choice.candidate, asker=asker)


def _check_side(side: Side) -> None:
    if failed := uncompiled(side.world):
        raise Refusal("\n".join(f"policy {key} cannot be programmed: {problems}" for key, problems in failed.items()))
    if missing := keyless(side.world, side.pod):
        raise UserError(
            "\n".join(missing) + "\nGive a key with --secret NAME/KEY=VARIABLE, by the Secret and key that auth names"
        )


def _print(verdict: Verdict, *, out: Console) -> None:
    table = Table("SIDE", box=None)
    for heading in ("PASSED", "FAILED", "P50", "P95", "TOKENS/CALL", "COST/1,000 CALLS"):
        table.add_column(heading, justify="right", no_wrap=True)
    runs = ([each.baseline for each in verdict.cases], [each.candidate for each in verdict.cases])
    for name, cases in zip(("baseline", "candidate"), runs, strict=True):
        table.add_row(name, *_row(cases))
    out.print(table)
    for each in verdict.cases:
        if each.regressed:
            out.print(f"REGRESSED {each.name}: {_lacks(each.candidate)}")
    for each in verdict.cases:
        if not passes(each.baseline):
            side = "the baseline alone" if passes(each.candidate) else "both sides"
            out.print(f"failed by {side}: {each.name}: {_lacks(each.baseline)}")
    count = len(verdict.regressions)
    told = f"{count:,} of {_number(len(verdict.cases), 'case')} regressed, {verdict.allowed:,} allowed"
    out.print(f"{'passed' if verdict.passed else 'FAILED'}: {verdict.obstacle or told}")


def _called(side: Side) -> str:
    return f"{side.name} ({side.model})" if side.model else f"the {side.name}'s policy"


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _row(cases: Sequence[Sequence[Run]]) -> list[str]:
    numbers = summary(cases)
    costs = " + ".join(f"{amount:.3f} {currency}" for currency, amount in numbers.cost.items())
    return [
        f"{numbers.passed:,}",
        f"{numbers.failed:,}",
        _milliseconds(numbers.p50),
        _milliseconds(numbers.p95),
        "-" if numbers.tokens is None else f"{numbers.tokens:,.0f}",
        costs or "-",
    ]


def _lacks(runs: Sequence[Run]) -> str:
    return "; ".join(
        f"{each.property} ({each.message}{f', {times} of {len(runs)} times' if len(runs) > 1 else ''})"
        for each, times in lacking(runs)
    )


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:,.0f} ms"


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"--json {file} cannot be written: {error.strerror}") from error
