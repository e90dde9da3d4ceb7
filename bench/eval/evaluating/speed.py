"""`make eval-speed`: what scoring costs in time and memory, on ordinary and on hostile texts. Calls no model."""

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

_PROSE = (
    "A factory has three machines. The first makes 120 parts an hour, the second twice as many, the third 45 % fewer "
    "than both together. Which statement about the cost of a part is correct, if each hour costs $36.50? "
    "Assume that none of the parts is broken, and that demand doesn't change before the end of the year. "
)
_MEGABYTE = 1_000_000
_HOSTILE = ("a", "\n", "1", " A", "A. \n", "\nA)", ".", "\\", '"', "é", "漢", "🙂", "$=", "{[(", "\x00", "prov")


def main() -> int:
    """Measure and print."""
    before = _resident()
    from pointsman_sidecar.complexity import Scorer  # noqa: PLC0415 - its memory is what is measured

    scorer = Scorer.load()
    loaded = _resident()
    texts = {"400 B": _long(400), "4 KB": _long(4_000), "1 MB": _long(_MEGABYTE)}
    texts |= {f"1 MB of {each!r}": each * (_MEGABYTE // len(each)) for each in _HOSTILE}
    for name, took in _took(scorer.score, texts).items():
        sys.stdout.write(f"{name:20} {took[0] * 1e6:8.0f} µs, at most {took[1] * 1e6:8.0f} µs\n")
    sys.stdout.write(f"memory: {loaded - before:.1f} MiB for the code, its imports and the model\n")
    return 0


def _took(
    score: Callable[[str], float], texts: Mapping[str, str], *, times: int = 200
) -> dict[str, tuple[float, float]]:
    found = {}
    for name, text in texts.items():
        each = []
        for _ in range(times):
            began = time.thread_time()
            score(text)
            each.append(time.thread_time() - began)
        found[name] = (median(each), max(each))
    return found


def _long(size: int) -> str:
    return (_PROSE * (size // len(_PROSE) + 1))[:size]


def _resident() -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


if __name__ == "__main__":
    sys.exit(main())
