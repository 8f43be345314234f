"""The workers: one question a worker at a time, and a warm one beside those that are busy.

A worker that takes too long is killed, and so is one whose question nobody waits for any more, because a newer one of
the same page has come. Killing is the only way to stop a formula at work, and it is what makes the limits hold.
"""

from __future__ import annotations

import asyncio
import json
import os
import struct
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from symdiff.errors import SymdiffError
from symdiff.serve.bounds import Bounds

_HEAD = struct.Struct(">Q")
_START = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from symdiff.serve.worker import main
main(sys.argv[2:])
"""
_ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class Superseded(SymdiffError):
    """A newer question of the same page has come."""


class Refused(SymdiffError):
    """The question was not answered: it took too long, needed too much, or came when too many were under way."""


class Worker:
    """One process."""

    def __init__(self, process: Process, bounds: Bounds) -> None:
        self._process, self._bounds = process, bounds
        self.questions = 0
        self.limited = True

    @classmethod
    async def start(cls, bounds: Bounds) -> Worker:
        """A worker that is ready. Raises Refused where it does not become so."""
        paths = json.dumps([os.path.abspath(path) for path in sys.path])
        arguments = (sys.executable, "-P", "-c", _START, paths, str(bounds.memory), str(bounds.seconds))
        # a session of its own: Ctrl-C on the terminal is for the server, which then ends its workers
        process = await asyncio.create_subprocess_exec(
            *arguments, stdin=PIPE, stdout=PIPE, cwd="/", env=os.environ | _ONE_THREAD, start_new_session=True
        )
        worker = cls(process, bounds)
        try:
            async with asyncio.timeout(bounds.start):
                worker.limited = json.loads(await worker._message())["limited"]
        except (TimeoutError, EOFError):
            await worker.killed()
            raise Refused("a worker could not be started; the terminal says why") from None
        except BaseException:
            await worker.killed()
            raise
        return worker

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def ask(self, question: bytes) -> dict[str, Any]:
        """The answer. Raises EOFError or ConnectionError where the process ends instead."""
        assert self._process.stdin is not None
        self.questions += 1
        self._process.stdin.write(_HEAD.pack(len(question)) + question)
        await self._process.stdin.drain()
        found: dict[str, Any] = json.loads(await self._message())
        return found

    async def _message(self) -> bytes:
        assert self._process.stdout is not None
        (length,) = _HEAD.unpack(await self._process.stdout.readexactly(_HEAD.size))
        if length > self._bounds.answer:
            raise Refused("what this formula gives is too long for this page")
        return await self._process.stdout.readexactly(length)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()

    async def killed(self) -> None:
        """Kill the process, and wait until it is gone."""
        self.kill()
        await self._process.wait()


class Pool:
    """At most `bounds.workers` questions at once; more wait, and more than `bounds.waiting` are refused."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._busy = asyncio.Semaphore(bounds.workers)
        self._ready: asyncio.Queue[Worker | Refused] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._starting = False
        self._workers: set[Worker] = set()
        self._jobs: dict[str, asyncio.Task[dict[str, Any]]] = {}
        self._under_way = 0
        self._closed = False

    def open(self) -> None:
        """Start a first worker."""
        self._refill()

    def stop(self) -> None:
        """Kill all workers, now; may be called from a signal handler."""
        self._closed = True
        for worker in list(self._workers):
            worker.kill()

    async def close(self) -> None:
        """Kill all workers and wait until they are gone."""
        self.stop()
        for task in [*self._tasks, *self._jobs.values()]:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._jobs.values(), return_exceptions=True)
        await asyncio.gather(*(worker.killed() for worker in self._workers))

    @property
    def processes(self) -> int:
        """How many workers live."""
        return sum(worker.alive for worker in self._workers)

    async def ask(self, page: str, question: bytes) -> dict[str, Any]:
        """The answer to `question`; an older question of the same page is given up.

        Raises Superseded in whoever waits for that one, and Refused where there is no answer.
        """
        if self._under_way >= self._bounds.waiting:
            raise Refused("too many questions at once; try again in a moment")
        older = self._jobs.get(page)
        job = self._jobs[page] = asyncio.ensure_future(self._answer(question))
        if older is not None:
            older.cancel()
        self._under_way += 1
        try:
            return await job
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
            raise Superseded("a newer question of the same page has come") from None
        finally:
            self._under_way -= 1
            if self._jobs.get(page) is job:
                del self._jobs[page]

    async def _answer(self, question: bytes) -> dict[str, Any]:
        async with self._busy:
            worker = await self._take()
            kept = False
            try:
                async with asyncio.timeout(self._bounds.seconds):
                    found = await worker.ask(question)
                kept = not found.pop("retire", False) and worker.questions < self._bounds.questions
                return found
            except TimeoutError:
                raise Refused(f"the formula took longer than {self._bounds.seconds:g} s, and was given up") from None
            except (EOFError, ConnectionError):
                raise Refused("the formula needs more memory than this page gives, or stopped its worker") from None
            finally:
                self._put_back(worker, kept)

    # -- workers -------------------------------------------------------------------------------------------------------

    async def _take(self) -> Worker:
        """A worker that is ready; another one is on its way when this returns."""
        while not self._closed:
            self._refill()
            found = await self._ready.get()
            self._refill()
            if isinstance(found, Refused):
                raise found
            if found.alive:
                return found
            self._workers.discard(found)
        raise Refused("the server is stopping")

    def _put_back(self, worker: Worker, kept: bool) -> None:
        if kept and self._ready.qsize() < self._bounds.workers:
            self._ready.put_nowait(worker)
            return
        worker.kill()
        self._track(self._gone(worker))
        self._refill()

    async def _gone(self, worker: Worker) -> None:
        await worker.killed()
        self._workers.discard(worker)

    def _refill(self) -> None:
        if not self._closed and self._ready.empty() and not self._starting:
            self._starting = True
            self._track(self._start())

    def _track(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _start(self) -> None:
        try:
            worker = await Worker.start(self._bounds)
        except Refused as error:
            self._ready.put_nowait(error)
        except OSError as error:
            self._ready.put_nowait(Refused(f"cannot start a worker: {error.strerror or error}"))
        else:
            self._workers.add(worker)
            self._ready.put_nowait(worker)
        finally:
            self._starting = False


__all__ = ["Pool", "Refused", "Superseded", "Worker"]
