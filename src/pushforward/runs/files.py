"""Atomic writes and verified reads of files.

A file is written under a temporary name, forced to disk, and then renamed: if the process is killed at any time, either
the old or the new file exists. Tensors are stored as safetensors with a JSON header and a checksum of all bytes.
Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pushforward.errors import UsageError

__all__ = [
    "PARTIAL",
    "joined",
    "load_tensors",
    "load_yaml",
    "part_of",
    "replace_file",
    "save_tensors",
    "save_yaml",
    "write_text",
]

PARTIAL = ".partial"


def replace_file(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` create a file, and replace ``path`` by it atomically."""
    partial = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
    try:
        write(partial)
        _force(partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    _force(path.parent)


def _force(path: Path) -> None:
    """Flush a file or a directory to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:  # some network file systems cannot force a directory
        if path.is_file():
            raise
    finally:
        os.close(descriptor)


def save_yaml(path: Path, values: Mapping[str, Any]) -> None:
    """Write plain values as YAML, in their order."""
    write_text(path, yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True, width=120))


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically.

    Raises:
        UsageError: if the disk is full or the folder cannot be written to.
    """

    def write(partial: Path) -> None:
        partial.write_text(text, encoding="utf-8")

    try:
        replace_file(path, write)
    except OSError as problem:
        raise UsageError(f"{path} cannot be written: {problem.strerror or problem}") from None


def load_yaml(path: Path) -> dict[str, Any]:
    """Values of a YAML file.

    Raises:
        UsageError: if the file is missing, cannot be read, or holds no mapping.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise UsageError(f"{path} cannot be read: {problem.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        raise UsageError(f"{path} is not readable YAML; it may be damaged") from None
    if not isinstance(values, dict):
        raise UsageError(f"{path} holds no configuration")
    return values


def save_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write tensors and a plain description of them to one file.

    Raises:
        UsageError: if the disk is full or the folder cannot be written to.
    """
    plain = {name: _plain(tensor) for name, tensor in tensors.items()}
    # A single entry, because safetensors writes several in an order that varies between runs.
    header = {"about": json.dumps({**about, "checksum": _checksum(plain)}, sort_keys=True)}
    size = sum(t.numel() * t.element_size() for t in plain.values())
    try:
        free = shutil.disk_usage(path.parent).free
        if free < size:
            raise OSError(f"{size / 1e6:.0f} MB are needed and {free / 1e6:.0f} MB are free")
        replace_file(path, lambda partial: save_file(plain, partial, metadata=header))
    except (OSError, SafetensorError) as problem:
        raise UsageError(f"{path} cannot be written: {getattr(problem, 'strerror', None) or problem}") from None


def _plain(tensor: Tensor) -> Tensor:
    """A copy on the CPU with its own memory, as safetensors requires."""
    return tensor.detach().to("cpu", copy=True).contiguous()


def load_tensors(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and description from `save_tensors`, verified.

    Arguments:
        kind: required value of ``about["kind"]``.

    Raises:
        UsageError: if the file is missing, damaged, of another kind, or not a safetensors file.
    """
    if not path.is_file():
        raise UsageError(f"{path} is missing")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
    except (SafetensorError, OSError, ValueError, RuntimeError):
        raise UsageError(f"{path} {_disguise(path)}") from None
    try:
        about = json.loads(header["about"])
        checksum = about.pop("checksum")
    except (KeyError, ValueError, AttributeError):
        raise UsageError(f"{path} was not written by pushforward") from None
    if about.get("kind") != kind:
        raise UsageError(f"{path} holds a {about.get('kind')}, not a {kind}")
    if _checksum(tensors) != checksum:
        raise UsageError(f"{path} is damaged: its checksum does not match; restore it from a copy or train again")
    return tensors, about


def _disguise(path: Path) -> str:
    start = path.read_bytes()[:4] if path.stat().st_size else b""
    if start[:1] == b"\x80" or start == b"PK\x03\x04":
        return "is a pickle, which can run any code when opened, and is refused; weights are stored as safetensors"
    return "is not a readable safetensors file: damaged or truncated; restore it from a copy or train again"


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, dtypes, shapes and bytes of the tensors, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def joined(**parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Named tensors of several parts in one mapping, as ``part/name``."""
    return {f"{part}/{name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}


def part_of(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """The tensors of one part, under their names in it."""
    return {name.removeprefix(f"{part}/"): t for name, t in tensors.items() if name.startswith(f"{part}/")}
