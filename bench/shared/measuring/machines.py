"""What the numbers were measured on."""

import os
import platform
from pathlib import Path


def machine() -> dict[str, object]:
    """This machine, and how busy it is."""
    model = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory = Path("/proc/meminfo").read_text().splitlines()[0].split()[1]
    system = os.uname()
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "cpu": model[0].partition(":")[2].strip() if model else system.machine,
        "memory_mib": int(memory) // 1024,
        "kernel": system.release,
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }
