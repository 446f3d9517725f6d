"""What numeric libraries read from the environment, once, when they load."""

from __future__ import annotations

from .settings import Settings

__all__ = ["numeric_environment"]


def numeric_environment(settings: Settings) -> dict[str, str]:
    """Thread limits and switches of the numeric libraries, as environment variables.

    `OMP_WAIT_POLICY=PASSIVE`: idle OpenMP threads sleep. With the default they spin, and two
    sessions that predict at once slow each other down 20 to 50 times.
    """
    threads = str(max(1, settings.threads))
    caps = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "NUMBA")
    return {
        "OMP_WAIT_POLICY": "PASSIVE",
        **{f"{name}_NUM_THREADS": threads for name in caps},
        "VECLIB_MAXIMUM_THREADS": threads,
        "TF_NUM_INTRAOP_THREADS": threads,
        "TF_NUM_INTEROP_THREADS": threads,
        "TF_CPP_MIN_LOG_LEVEL": "2",
        # oneDNN orders sums by the processor at hand: the same model would score differently.
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "KERAS_BACKEND": "tensorflow",
    }
