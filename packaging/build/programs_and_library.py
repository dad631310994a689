"""The build backend of pyproject.toml (PEP 517): maturin, which puts a library into a wheel or programs,
and here both are wanted. So cargo builds the programs first, and maturin finds them, with the manual, the
completions and the pytest plugin, in the folder that it takes along as the wheel's data.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import maturin
from maturin import get_requires_for_build_wheel

__all__ = [
    "build_wheel",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_wheel",
]

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "target" / "wheel.data"
PACKAGES = [
    "causeway-gateway",
    "causeway-app-host",
    "causeway-edge",
    "causeway-fault",
    "causeway-topology",
]
# Where they lie in packaging/, and where below a prefix they are looked for.
SHARED = {
    "man/causeway-gateway.1": "man/man1/causeway-gateway.1",
    "completions/bash/causeway-gateway": "bash-completion/completions/causeway-gateway",
    "completions/zsh/_causeway-gateway": "zsh/site-functions/_causeway-gateway",
    "completions/fish/causeway-gateway.fish": "fish/vendor_completions.d/causeway-gateway.fish",
}


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    # maturin looks whether it is there, and not what is in it.
    DATA.mkdir(parents=True, exist_ok=True)
    return maturin.prepare_metadata_for_build_wheel(metadata_directory, config_settings)


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    shutil.rmtree(DATA, ignore_errors=True)
    for program in programs():
        copy(program, DATA / "scripts" / program.name)
    for source, target in SHARED.items():
        copy(ROOT / "packaging" / source, DATA / "data" / "share" / target)
    # pip puts what is below `purelib` beside the other packages.
    source = ROOT / "packaging" / "python"
    for module in source.rglob("*.py"):
        copy(module, DATA / "purelib" / module.relative_to(source))
    return maturin.build_wheel(wheel_directory, config_settings, metadata_directory)


def programs():
    """Every program of the packages, built."""
    command = ["cargo", "build", "--release", "--locked", "--bins"]
    command += ["--message-format=json-render-diagnostics"]
    for package in PACKAGES:
        command += ["-p", package]
    built = subprocess.run(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, check=True)
    for line in built.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable"):
            yield Path(message["executable"])


def environment():
    """maturin's own, so that cargo does not build twice what programs and library share."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    width = 64 if sys.maxsize > 2**32 else 32
    return {
        **os.environ,
        "PYO3_BUILD_EXTENSION_MODULE": "1",
        "PYO3_ENVIRONMENT_SIGNATURE": f"{sys.implementation.name}-{version}-{width}bit",
        "PYO3_PYTHON": sys.executable,
        "PYTHON_SYS_EXECUTABLE": sys.executable,
    }


def copy(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)
    os.chmod(target, 0o755 if target.parent.name == "scripts" else 0o644)
