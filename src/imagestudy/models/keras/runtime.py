"""Start TensorFlow and Keras silently, on the CPU, deterministically, and with the number of threads of the run."""

import importlib
import importlib.util
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from imagestudy.core.errors import InputError

HOW_TO_INSTALL = "pip install 'tensorflow>=2.20' (without a GPU on x86: 'tensorflow-cpu>=2.20')"
SETTINGS = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
CHATTER = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog\(\)|[IWE]\d{4} |[IWE]\d{10} |\d{4}-\d\d-\d\d \S+ [IWE] "
)
"""The beginnings of log lines that TensorFlow's C++ code writes when it looks for devices; the log level hides only some."""


def start(*, threads: int | None = None) -> None:
    """Import TensorFlow and Keras if needed, and set the number of threads per operation.

    TensorFlow accepts a number of threads only once per process, before its first operation.

    Args:
        threads: number of threads per operation; None uses the number that is already set, or 1.

    Raises:
        InputError: TensorFlow is not installed, Keras runs on another backend, another number of threads is already set, or
            TensorFlow was imported before PyTorch had loaded Triton.
    """
    _import()
    import tensorflow as tf

    given = tf.config.threading.get_intra_op_parallelism_threads()
    wanted = threads or given or 1
    if given == wanted:
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(wanted)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        raise InputError(
            f"threads: {wanted} was given; TensorFlow accepts a number of threads once per process, "
            f"so this process allows only {given or 'the number of cores'}"
        ) from None
    with _quiet():
        tf.config.list_logical_devices()


def is_installed() -> bool:
    """Return whether TensorFlow and Keras can be imported, without importing them."""
    return all(importlib.util.find_spec(name) is not None for name in ("tensorflow", "keras"))


@lru_cache(maxsize=1)
def _import() -> None:
    if not is_installed():
        raise InputError(f"a Keras model was given, but TensorFlow is not installed; install it with: {HOW_TO_INSTALL}")
    _import_triton()
    os.environ |= SETTINGS
    with _quiet():
        import keras
        import tensorflow as tf

        if keras.backend.backend() != "tensorflow":
            raise InputError(
                f"Keras runs on {keras.backend.backend()!r} in this process; only 'tensorflow' is allowed; "
                "set KERAS_BACKEND=tensorflow before Keras is imported"
            )
        if tf.config.list_physical_devices("GPU"):
            tf.config.set_visible_devices([], "GPU")
    tf.get_logger().setLevel(logging.ERROR)
    tf.config.experimental.enable_op_determinism()
    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")


def _import_triton() -> None:
    """Import Triton before TensorFlow.

    Torch loads Triton late, at its first step. Both Triton and TensorFlow contain LLVM, and the process crashes if TensorFlow is
    loaded first.
    """
    if importlib.util.find_spec("triton") is None:
        return
    if "tensorflow" in sys.modules and "triton" not in sys.modules:
        raise InputError(
            "TensorFlow was imported before PyTorch had loaded Triton, which would crash the process; import TensorFlow only after "
            "imagestudy.models.keras.start()"
        )
    importlib.import_module("triton")


@contextmanager
def _quiet() -> Iterator[None]:
    """Capture what C++ code writes to stderr; afterwards, write it to stderr without TensorFlow's start-up messages."""
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            held.seek(0)
            for line in held:
                if not CHATTER.match(line):
                    os.write(2, line)
