"""Files that are whole or absent, and are never trusted to be what their name says.

A file is written under another name, forced to disk, and then renamed: whenever a process is killed, the old file or
the new one is there. Tensors are kept as safetensors with a JSON header and a checksum of every byte of every tensor.
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
    """Let ``write`` make a file, and put it in the place of ``path`` in one act."""
    partial = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
    try:
        write(partial)
        _force(partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    _force(path.parent)


def _force(path: Path) -> None:
    """Have the operating system put what it holds of a file or a directory on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:  # some network file systems cannot force a directory
        if path.is_file():
            raise
    finally:
        os.close(descriptor)


def save_yaml(path: Path, values: Mapping[str, Any]) -> None:
    """Plain values as YAML, in their order."""
    write_text(path, yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True, width=120))


def write_text(path: Path, text: str) -> None:
    """Write a text file, which is whole or absent.

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
    """The values in a YAML file.

    Raises:
        UsageError: if the file is not there, cannot be read, or holds something else.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise UsageError(f"{path} cannot be read: {problem.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        raise UsageError(f"{path} is not readable YAML; it may be damaged") from None
    if not isinstance(values, dict):
        raise UsageError(f"{path} does not hold a configuration")
    return values


def save_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Tensors and a plain description of them, in one file.

    Raises:
        UsageError: if the disk is full or the folder cannot be written to.
    """
    plain = {name: _plain(tensor) for name, tensor in tensors.items()}
    # One entry: of several, safetensors writes them in an order that differs from run to run.
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
    """A copy on the CPU that shares no memory with another tensor, which safetensors would refuse."""
    return tensor.detach().to("cpu", copy=True).contiguous()


def load_tensors(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `save_tensors` wrote, checked.

    Arguments:
        kind: what ``about["kind"]`` must be.

    Raises:
        UsageError: if the file is missing, damaged, of another kind, or no safetensors file at all.
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
        return "is a pickle, which could run any code when opened: it is refused; weights are kept as safetensors"
    return "is damaged or truncated: it is no readable safetensors file; restore it from a copy or train again"


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over the names, types, shapes and bytes of tensors, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def joined(**parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Named tensors of several parts under one roof: ``part/name``."""
    return {f"{part}/{name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}


def part_of(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """The tensors of one part, under the names they have there."""
    return {name.removeprefix(f"{part}/"): t for name, t in tensors.items() if name.startswith(f"{part}/")}
