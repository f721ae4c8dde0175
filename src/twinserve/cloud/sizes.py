"""CPU and memory as the platforms write them. Pure."""

from __future__ import annotations


def cpu_text(cpu: float) -> str:
    """Whole CPUs as a number, a share in thousandths: ``1``, ``500m``."""
    return f"{cpu:g}" if cpu == int(cpu) else f"{round(cpu * 1000)}m"


def memory_text(memory_mib: int) -> str:
    """``4Gi``, or ``512Mi`` where it is no whole number of those."""
    return f"{memory_mib // 1024}Gi" if memory_mib % 1024 == 0 else f"{memory_mib}Mi"
