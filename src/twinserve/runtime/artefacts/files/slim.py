"""Take out of an environment what OpenVINO's CPU path and the servers never load.

``python slim.py VENV``; written for the packages that ``requirements.txt`` pins. What is named here
and not there is no error: another version may have dropped it.
"""

import shutil
import sys
from pathlib import Path

GONE = (
    # OpenVINO: other devices and their kernels, other model formats, converters, C API, headers.
    "openvino/libs/libopenvino_intel_gpu_plugin.so*",
    "openvino/libs/libopenvino_intel_npu*",
    "openvino/libs/libopenvino_auto*_plugin.so*",
    "openvino/libs/libopenvino_hetero_plugin.so*",
    "openvino/libs/libopenvino_template_plugin.so*",
    "openvino/libs/libopenvino_onnx_frontend.so*",
    "openvino/libs/libopenvino_paddle_frontend.so*",
    "openvino/libs/libopenvino_pytorch_frontend.so*",
    "openvino/libs/libopenvino_tensorflow*_frontend.so*",
    "openvino/libs/libopenvino_jax_frontend.so*",
    "openvino/libs/libopenvino_gguf_frontend.so*",
    "openvino/libs/libopenvino_c.so*",
    "openvino/libs/cache.json",
    "openvino/frontend/*/py_*_frontend*.so",
    "openvino/tools",
    "openvino/torch",
    "openvino/include",
    "openvino/cmake",
    "openvino_telemetry*",
    # NumPy: tests, the Fortran wrapper, what C extensions are built with.
    "numpy/f2py",
    "numpy/distutils",
    "numpy/_core/include",
    "numpy/_core/lib",
    "numpy/random/lib",
    "numpy/**/tests",
    # Pillow: formats and fonts that no answer is made of.
    "PIL/_avif*.so",
    "PIL/_imagingft*.so",
    "PIL/_imagingcms*.so",
    "pillow.libs/libavif*",
    "pillow.libs/libharfbuzz*",
    "pillow.libs/libfreetype*",
    "pillow.libs/liblcms2*",
    "pillow.libs/libbrotli*",
    # Of every package.
    "**/*.pyi",
    "**/*.pyx",
    "**/*.pxd",
    "**/__pycache__",
    "pip",
    "pip-*",
    "setuptools*",
)


def main(venv: Path) -> None:
    [site] = venv.glob("lib/python3*/site-packages")
    before = size_of(site)
    for pattern in GONE:
        for path in list(site.glob(pattern)):
            remove(path)
    sys.stdout.write(f"slim: {before / 1e6:.0f} MB became {size_of(site) / 1e6:.0f} MB\n")


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def size_of(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
