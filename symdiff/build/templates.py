"""Compiled templates, kept beside the compiled kernels: Jinja takes longer to compile a template than to fill it in.

They are code like the kernels, so they lie in the same directory under the same conditions (`symdiff.build.cache`),
and a file begins with the sha256 of the rest: Jinja would unpickle and run what a crash of the system has left of it.
Jinja compares a checksum of the template, so an old file is never used. Where there is no such directory, nothing is
kept, and nothing is said: it costs a tenth of a second.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import jinja2
from jinja2.bccache import Bucket

from symdiff.build import cache

_DIGEST = hashlib.sha256().digest_size


class Bytecode(jinja2.BytecodeCache):
    """The bytecode of one language's templates, in files that only this user can write."""

    def __init__(self, language: str) -> None:
        self._prefix = f"{language}-{jinja2.__version__}-{sys.implementation.cache_tag}"

    def load_bytecode(self, bucket: Bucket) -> None:
        with suppress(OSError, cache.Unusable):
            content = cache.read_own(self._folder() / self._name(bucket))
            digest, bytecode = content[:_DIGEST], content[_DIGEST:]
            if hashlib.sha256(bytecode).digest() == digest:
                bucket.bytecode_from_string(bytecode)

    def dump_bytecode(self, bucket: Bucket) -> None:
        with suppress(OSError, cache.Unusable):
            folder = self._folder()
            handle, scratch = tempfile.mkstemp(prefix=".template-", dir=folder)
            try:
                with open(handle, "wb") as file:
                    bytecode = bucket.bytecode_to_string()
                    file.write(hashlib.sha256(bytecode).digest() + bytecode)
                os.replace(scratch, folder / self._name(bucket))
            except BaseException:
                os.unlink(scratch)
                raise

    def _name(self, bucket: Bucket) -> str:
        return f"{self._prefix}-{bucket.key}"

    def _folder(self) -> Path:
        root = cache.default_root()
        cache.prepare(root)
        folder = root / "templates"
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        return folder


__all__ = ["Bytecode"]
