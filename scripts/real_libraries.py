"""Installs the libraries for comparisons, in the versions that the project supports."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
VERSIONS = {
    "torch": "2.15.0",
    "jax": "0.10.2",
    "optax": "0.2.8",
    "keras": "3.15.1",
    "transformers": "5.24.0",
    "timm": "1.0.31",
}


def inside_environment():
    """Restarts the script in a virtual environment with the libraries, in double precision."""
    if os.environ.get("REAL_LIBRARIES") == "inside":
        return
    home = pathlib.Path(os.environ.get("VENV") or ROOT / "target" / "exports")
    python = home / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    found = subprocess.run(
        [str(python), "-c", "import " + ", ".join(VERSIONS)],
        env={**os.environ, "KERAS_BACKEND": "torch"},
        capture_output=True,
    )
    if found.returncode != 0:
        wanted = [f"{name}=={version}" for name, version in VERSIONS.items()]
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *wanted], check=True)
    os.environ.update(KERAS_BACKEND="torch", JAX_ENABLE_X64="1", JAX_PLATFORMS="cpu", REAL_LIBRARIES="inside")
    os.execv(str(python), [str(python), *sys.argv])


def sweep_binary(given):
    """The given binary, or one built by cargo."""
    if given:
        return given
    subprocess.run(["cargo", "build", "--release", "--quiet", "-p", "sweep-lr"], cwd=ROOT, check=True)
    return str(pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "release" / "sweep")


def versions():
    import importlib.metadata

    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in VERSIONS)
