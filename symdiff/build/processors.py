"""The processor: how many of its threads this process may use, its caches, and how wide the compiler's SIMD is."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from symdiff.build.fact import Fact
from symdiff.runtime import compiler

CGROUP = Path("/sys/fs/cgroup")
CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def processor() -> Fact:
    """Model and the sizes of its caches."""
    model, sizes = compiler.cpu()[0], cache_sizes()
    shown = ", ".join(f"{name} {in_bytes(size)}" for name, size in sizes.items())
    text = f"{model or 'unknown model'}; caches: {shown or 'unknown'}"
    return Fact("processor", "ok" if model else "unknown", text, data={"model": model, "caches": sizes})


def threads() -> Fact:
    """Logical processors of the machine, and how many of them are this process's own."""
    total, allowed, quota = os.cpu_count(), affinity(), cgroup_limit()
    usable = max(1, min(allowed or total or 1, int(quota) if quota else 1 << 30))
    limits = [] if allowed in (None, total) else [f"{allowed} by affinity"]
    limits += [] if quota is None else [f"{quota:.3g} by cgroup"]
    text = f"{usable} of {total or 'an unknown number of'} logical processors"
    text += f" ({', '.join(limits)})" if limits else " (no limit by affinity or cgroup)"
    data = {"usable": usable, "logical": total, "affinity": allowed, "cgroup": quota}
    return Fact("threads", "ok" if total else "unknown", text, data=data)


def affinity() -> int | None:
    """Logical processors that the system lets this process run on; None where it does not say."""
    with suppress(AttributeError, OSError):
        return len(os.sched_getaffinity(0))
    return None


def cgroup_limit(root: Path = CGROUP, own: Path = Path("/proc/self/cgroup")) -> float | None:
    """Processors' worth of time that containers allow this process; None without a limit.

    Version 2 limits the process by every group from its own up to the root, version 1 by one of the `cpu` controller.
    """
    found = []
    with suppress(OSError, ValueError):
        for line in own.read_text("utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:
                group = root / path.lstrip("/")
                found += [_quota(each / "cpu.max") for each in (group, *group.parents) if each.is_relative_to(root)]
            elif "cpu" in controllers.split(","):
                found += [_quota_1(root / "cpu" / path.lstrip("/")), _quota_1(root / "cpu")]
    return min((each for each in found if each), default=None)


def _quota(file: Path) -> float | None:
    """Such as "150000 100000": time and period; "max" is no limit."""
    with suppress(OSError, ValueError):
        time, period = file.read_text("utf-8").split()
        return int(time) / int(period)
    return None


def _quota_1(folder: Path) -> float | None:
    with suppress(OSError, ValueError):
        time = int((folder / "cpu.cfs_quota_us").read_text("utf-8"))
        return time / int((folder / "cpu.cfs_period_us").read_text("utf-8")) if time > 0 else None
    return None


def cache_sizes(folder: Path = CACHES) -> dict[str, int]:
    """Bytes of the caches for data of one core, such as {"L1": 32768}; what the system does not say is left out."""
    found = {}
    for index in sorted(folder.glob("index*")):
        with suppress(OSError, ValueError, AttributeError):
            level, kind, size = ((index / name).read_text("utf-8").strip() for name in ("level", "type", "size"))
            if kind != "Instruction":
                number, unit = re.fullmatch(r"(\d+)([KMG]?)", size).groups()  # type: ignore[union-attr]  # suppressed
                found[f"L{level}"] = int(number) * _UNITS[unit]
    return found or _cache_sizes_of_libc()


def _cache_sizes_of_libc() -> dict[str, int]:
    names = {"L1": "SC_LEVEL1_DCACHE_SIZE", "L2": "SC_LEVEL2_CACHE_SIZE", "L3": "SC_LEVEL3_CACHE_SIZE"}
    found = {}
    for level, name in names.items():
        with suppress(OSError, ValueError, AttributeError):
            found[level] = os.sysconf(name)
    return {level: size for level, size in found.items() if size > 0}


def in_bytes(size: int) -> str:
    """Such as "32 KiB", three digits at most."""
    number, unit = float(size), "bytes"
    for larger in ("KiB", "MiB", "GiB"):
        if number < 1024:
            break
        number, unit = number / 1024, larger
    return f"{number:.3g} {unit}" if number < 1000 else f"{number:.0f} {unit}"
