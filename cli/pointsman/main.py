"""The command line: what can be typed. What it does is in `commands`, which is imported when it is needed."""

import importlib.metadata
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from pointsman.errors import USAGE, Refusal, UserError

if TYPE_CHECKING:
    from pointsman.worlds import Secret
    from pointsman_operator.quotas import RedisEndpoint

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
# What is printed comes from files and requests: a [tag] or a :word: in it is text and no markup.
out = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)

# As shells have it.
_INTERRUPTED = 130

Files = Annotated[
    list[Path],
    typer.Option("-f", "--filename", help="A file or folder of resources, or - for standard input. May be repeated."),
]
Namespace = Annotated[
    str | None, typer.Option("-n", "--namespace", help="The pod's namespace. Default: the first policy's.")
]
Labels = Annotated[
    str, typer.Option(metavar="K=V,K=V", help="The pod's labels. Default: those that the first policy selects.")
]
Output = Annotated[str, typer.Option("-o", "--output", help="text or json")]


@app.callback(invoke_without_command=True)
def main(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Pointsman routes each completion to the cheapest model that will do."""
    if version:
        out.print(importlib.metadata.version("pointsman"))
        raise typer.Exit


@app.command()
def check(
    filename: Files,
    namespace: Annotated[
        str, typer.Option("-n", "--namespace", help="For resources that name no namespace.")
    ] = "default",
    output: Output = "text",
) -> None:
    """Say what a cluster would say: what `kubectl apply` would refuse, and what would not be Ready.

    Exits with 0 where all is well, 1 where something is not, 2 where the files cannot be read.
    """
    from pointsman.commands.check import check as checked

    with _sentences():
        if not checked(filename, namespace=namespace, as_json=_is_json(output), out=out, err=err):
            raise typer.Exit(Refusal.exit_code)


@app.command()
def explain(
    prompt: Annotated[str, typer.Argument(help="What the user says; - reads it from standard input.")],
    filename: Files,
    namespace: Namespace = None,
    labels: Labels = "",
    system: Annotated[str, typer.Option(help="The system message.")] = "",
    model: Annotated[str, typer.Option(help="The model that the request names.")] = "",
    user: Annotated[str, typer.Option(help="Who asks.")] = "",
    session: Annotated[str, typer.Option(help="The conversation.")] = "",
    negative_feedback: Annotated[
        int, typer.Option(min=0, help="How many answers of the session were labelled as bad or hallucinations.")
    ] = 0,
    severity: Annotated[str, typer.Option(help="low, medium, high or critical")] = "",
    metadata: Annotated[list[str] | None, typer.Option(metavar="K=V", help="Metadata. May be repeated.")] = None,
    header: Annotated[
        list[str] | None, typer.Option(metavar="NAME: VALUE", help="A header of the request. May be repeated.")
    ] = None,
    at: Annotated[
        str, typer.Option(metavar="TIME", help="When the request comes, such as 2026-03-02T18:30+01:00. Default: now.")
    ] = "",
    tool: Annotated[list[str] | None, typer.Option(metavar="NAME", help="A tool. May be repeated.")] = None,
    response_format: Annotated[str, typer.Option(help="text, json_object or json_schema")] = "text",
    image: Annotated[list[str] | None, typer.Option(metavar="FILE|URL", help="A picture. May be repeated.")] = None,
    audio: Annotated[list[Path] | None, typer.Option(help="A recording, wav or mp3. May be repeated.")] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, max=2**31 - 1, help="The tokens of the answer at most.")
    ] = None,
    output: Output = "text",
) -> None:
    """Say which model would answer a prompt, and why. Calls no model."""
    from pointsman.commands.explain import explain as explained
    from pointsman.requests import Options, build, headers_of, moment

    with _sentences():
        if negative_feedback and not session:
            raise UserError("--negative-feedback is what a session was given: name one with --session")
        options = Options(
            prompt=_from_stdin() if prompt == "-" else prompt,
            system=system,
            model=model,
            user=user,
            session=session,
            severity=severity,
            metadata=metadata or (),
            tools=tool or (),
            response_format=response_format,
            images=image or (),
            recordings=audio or (),
            max_tokens=max_tokens,
        )
        explained(
            build(options),
            filename,
            namespace=namespace,
            labels=_labels(labels),
            headers=headers_of(header or ()),
            negative_feedback=negative_feedback,
            now=moment(at) if at else time.time(),
            as_json=_is_json(output),
            out=out,
        )


@app.command()
def score(
    filename: Annotated[
        Path, typer.Argument(help='Lines of {"id", "prompt"}; - reads them from standard input.')
    ] = Path("-"),
) -> None:
    """Say how much each prompt needs the stronger model, from 0 to 1: lines of {"id", "score"}. Calls no model."""
    from pointsman.commands.score import score as scored

    with _sentences():
        scored(filename, write=sys.stdout.write)


@app.command()
def evaluate(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA.jsonl", help='Lines of {"prompt", "weak_correct", "strong_correct"}, plain or .gz, or -.'
        ),
    ],
    weak_price: Annotated[float, typer.Option(min=0, help="What a call of the cheap model costs.")] = 0.15,
    strong_price: Annotated[float, typer.Option(min=0, help="What a call of the stronger model costs.")] = 2.5,
    draws: Annotated[int, typer.Option(min=0, max=10_000, help="How often to draw anew, for the intervals.")] = 200,
    plot: Annotated[Path | None, typer.Option(metavar="FILE.svg", help="Draw what each share recovers.")] = None,
    output: Output = "text",
) -> None:
    """Measure the complexity score on recorded results of two models: quality and cost against the share sent up."""
    from pointsman.commands.evaluate import evaluate as evaluated

    with _sentences():
        if not strong_price > weak_price:
            raise UserError("--strong-price must be above --weak-price: there is nothing to save otherwise")
        evaluated(
            data,
            prices=(weak_price, strong_price),
            draws=draws,
            plot=plot,
            as_json=_is_json(output),
            out=out,
        )


@app.command()
def run(
    filename: Files,
    namespace: Namespace = None,
    labels: Labels = "",
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="The gRPC door.")] = "127.0.0.1:8081",
    http_listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="The OpenAI-compatible HTTP door.")
    ] = "127.0.0.1:8083",
    status_listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Health and metrics.")] = "127.0.0.1:8082",
    secret: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME/KEY=VARIABLE",
            help="The environment variable that holds an API key, by the Secret and key that a provider's auth names. "
            "May be repeated.",
        ),
    ] = None,
    state_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Where what was spent of TokenQuotas is kept. Without it, it ends with the process."
        ),
    ] = None,
    ledger_redis_url: Annotated[
        str,
        typer.Option(
            metavar="URL", help="The Redis or Valkey where that is kept instead, such as redis://127.0.0.1:6379."
        ),
    ] = "",
    ledger_redis_password_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The file that its password is in.")
    ] = None,
    ledger_redis_tls_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Where ca.crt is, by which it is known, and tls.crt and tls.key if needed."
        ),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="What confidences mean, by the policy's names of models, as calibrate wrote it."
        ),
    ] = None,
    log_level: Annotated[str, typer.Option(help="DEBUG, INFO, WARNING or ERROR")] = "INFO",
) -> None:
    """Serve completions by a policy from files, without a cluster. Changes to the files take effect at once."""
    # gRPC's own lines would stand beside our sentences. It looks once, when it is imported.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from pointsman.commands.run import run as serve
    from pointsman_sidecar import settings

    with _sentences():
        try:
            listens, http_listens = settings.loopback(listen), settings.loopback(http_listen)
            status_listens = settings.address(status_listen)
            level = settings.level(log_level)
        except settings.SettingsError as error:
            raise UserError(str(error)) from error
        serve(
            filename,
            namespace=namespace,
            labels=_labels(labels),
            listen=listens,
            http_listen=http_listens,
            status_listen=status_listens,
            secrets=[_secret(each) for each in secret or ()],
            state_folder=state_dir,
            redis=_redis(ledger_redis_url, password_file=ledger_redis_password_file, tls_folder=ledger_redis_tls_dir),
            calibration=calibration,
            environment=os.environ,
            log_level=level,
            out=out,
        )


@app.command()
def regress(
    suite: Annotated[Path, typer.Argument(metavar="SUITE", help="The file of the suite; - is standard input.")],
    filename: Files,
    baseline: Annotated[str, typer.Option(metavar="MODEL", help="The policy's model to compare with.")] = "",
    candidate: Annotated[str, typer.Option(metavar="MODEL", help="The policy's model that is to be no worse.")] = "",
    route: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="A route with a split: its first arm is the baseline, its second the candidate."
        ),
    ] = "",
    candidate_file: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Another policy, compared as a whole with that of -f. What else it needs it takes from there. "
            "May be repeated.",
        ),
    ] = None,
    namespace: Namespace = None,
    labels: Labels = "",
    secret: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME/KEY=VARIABLE",
            help="The environment variable that holds an API key, by the Secret and key that a provider's auth names. "
            "May be repeated.",
        ),
    ] = None,
    allow: Annotated[int, typer.Option(min=0, help="How many regressions are allowed.")] = 0,
    repeat: Annotated[
        int, typer.Option(min=1, max=25, help="How often each case is asked; more than half decide.")
    ] = 1,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="How many calls at a time.")] = 4,
    record: Annotated[
        str,
        typer.Option(
            metavar="NAMESPACE/NAME",
            help="The policy in the cluster to write the result to, with your kubectl and your rights.",
        ),
    ] = "",
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="A report is written there, without prompts and answers."),
    ] = None,
    log_level: Annotated[str, typer.Option(help="DEBUG, INFO, WARNING or ERROR")] = "ERROR",
) -> None:
    """Ask a suite of two models or two policies, and say where the candidate is worse. Calls models.

    Exits with 0 where the candidate is no worse, 1 where it is or nothing can be compared, 2 where it cannot be run.
    """
    # As of `run`.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from pointsman.commands.regress import Choice
    from pointsman.commands.regress import regress as regressed
    from pointsman_sidecar import settings

    with _sentences():
        try:
            level = settings.level(log_level)
        except settings.SettingsError as error:
            raise UserError(str(error)) from error
        try:
            passed = regressed(
                suite,
                filename,
                choice=Choice(
                    baseline=baseline, candidate=candidate, route=route, candidate_files=tuple(candidate_file or ())
                ),
                namespace=namespace,
                labels=_labels(labels),
                secrets=[_secret(each) for each in secret or ()],
                allow=allow,
                repeat=repeat,
                concurrency=concurrency,
                record=record,
                json_file=json_file,
                environment=os.environ,
                log_level=level,
                out=out,
                err=err,
            )
        except Refusal as error:
            # Not 1, which says that the candidate is worse; no more where it was interrupted.
            raise UserError(str(error)) from error
        except KeyboardInterrupt:
            raise typer.Exit(_INTERRUPTED) from None
        if not passed:
            raise typer.Exit(Refusal.exit_code)


def _redis(url: str, *, password_file: Path | None, tls_folder: Path | None) -> "RedisEndpoint | None":
    from pointsman_operator.quotas import RedisUrlError, read_url

    if not url:
        if password_file or tls_folder:
            needless = "--ledger-redis-password-file" if password_file else "--ledger-redis-tls-dir"
            raise UserError(f"{needless} does nothing without --ledger-redis-url; name the server, or leave it out")
        return None
    try:
        return read_url(url, password_file=password_file, tls_folder=tls_folder)
    except RedisUrlError as error:
        raise UserError(f"--ledger-redis-url: {error}") from error


@app.command()
def judge(
    answers: Annotated[
        Path, typer.Argument(help='JSON Lines of {"id", "prompt", "response"}; - reads standard input.')
    ] = Path("-"),
    calibration: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What `pointsman calibrate` wrote: the lines name their model.")
    ] = None,
    signals: Annotated[bool, typer.Option("--signals", help="Print what was seen of each answer, too.")] = False,
) -> None:
    """Say how likely answers are right: {"id", "confidence"} for each line. Calls no model.

    A line may also have logprobs (numbers, or OpenAI's content), finish_reason, valid_json, refused and model.
    """
    from pointsman.commands.judge import judge as judged

    with _sentences():
        judged(answers, calibration=calibration, with_signals=signals)


@app.command()
def calibrate(
    labels: Annotated[
        Path,
        typer.Argument(
            help='JSON Lines of {"id", "model", "correct"} with "confidence", or with "prompt" and "response"; '
            "- reads standard input."
        ),
    ],
    write: Annotated[
        Path | None, typer.Option("-w", "--write", metavar="FILE", help="Where the calibration is written.")
    ] = None,
    bins: Annotated[int, typer.Option(min=1, max=50, help="Bins of the tables, before small ones are merged.")] = 10,
) -> None:
    """Learn what confidences mean from labelled answers, and say how far they can be relied upon."""
    from pointsman.commands.calibrate import calibrate as calibrated

    with _sentences():
        calibrated(labels, write=write, bins=bins, out=out)


def _from_stdin() -> str:
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise UserError("the prompt on standard input is no UTF-8 text") from error


def _is_json(output: str) -> bool:
    if output not in {"text", "json"}:
        raise UserError(f"--output {output} is not known: write text or json")
    return output == "json"


def _labels(text: str) -> dict[str, str]:
    from pointsman_sidecar import settings

    try:
        return settings.labels(text)
    except settings.SettingsError as error:
        raise UserError(f"--labels: {error}") from error


def _secret(text: str) -> "Secret":
    from pointsman.worlds import Secret

    reference, _, variable = text.partition("=")
    name, _, key = reference.partition("/")
    if not (name and key and variable.isidentifier()):
        # Who misread this may have given the key itself: it is not repeated.
        raise UserError(
            "a --secret cannot be read: write NAME/KEY=VARIABLE with the name of an environment variable, "
            "such as openai/api-key=OPENAI_API_KEY"
        )
    value = os.environ.get(variable)
    if not value:
        raise UserError(f"--secret {text}: the environment variable {variable} is not set")
    return Secret(name=name, key=key, value=value)


@contextmanager
def _sentences() -> Iterator[None]:
    """Say what ended the command, and end with its exit code; no traceback reaches a user."""
    try:
        yield
    except Refusal as error:
        err.print(str(error))
        raise typer.Exit(error.exit_code) from error
    except UserError as error:
        err.print(f"pointsman: {error}")
        raise typer.Exit(USAGE) from error
