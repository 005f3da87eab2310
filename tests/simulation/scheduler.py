"""Simulated time, and threads of which exactly one runs at a time, in the order the seed gives.

The consumers' own threads are kept, but each runs only until it makes a request or pauses; what
happens next is whatever is due next in simulated time. So a run is the same whenever it is
repeated, and one seed is one interleaving of everything.
"""

import heapq
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count

MS = 1000
"""Simulated time is in whole microseconds."""
SECOND = 1000 * MS
HOUR = 3600 * SECOND


class KilledError(BaseException):
    """The invocation this thread belongs to has ended: no code of it runs on."""


@dataclass(eq=False)
class Task:
    """One thread's work: a handler, or what a handler gave to its pool."""

    work: Callable[[], object]
    invocation: object
    on_done: Callable[["Task"], None]
    baton: threading.Lock = field(default_factory=threading.Lock)
    started: bool = False
    done: bool = False
    result: object = None
    error: BaseException | None = None

    def __post_init__(self):
        self.baton.acquire()


class Scheduler:
    """What is due when, and whose turn it is."""

    def __init__(self, rng):
        self.now = 0
        self.current = None
        self._rng = rng
        self._due = []
        self._order = count()
        self._driver = threading.Lock()
        self._driver.acquire()

    def after(self, delay, act):
        """Have something done later; what is due at the same time comes in a random order."""
        heapq.heappush(self._due, (self.now + delay, self._rng.random(), next(self._order), act))

    def run(self):
        """Go on until nothing is due any more."""
        while self._due:
            self.now, _, _, act = heapq.heappop(self._due)
            act()

    def spawn(self, work, invocation, on_done=lambda _task: None):
        """Start a thread, which gets its turn at some time from now on."""
        task = Task(work, invocation, on_done)
        self.after(0, partial(self._resume, task))
        return task

    def pause(self, delay):
        """Let others run until `delay` has passed; called by a task.

        Raises:
            KilledError: the task's invocation ended meanwhile.
        """
        task = self.current
        if task is None:
            raise AssertionError("a request outside of any invocation")
        self.after(delay, partial(self._resume, task))
        self._hand_back(task)

    def join(self, tasks):
        """Let others run until some tasks are done; called by a task."""
        task = self.current
        waiting = [one for one in tasks if not one.done]
        left = len(waiting)

        def one_done(_done):
            nonlocal left
            left -= 1
            if not left:
                self.after(0, partial(self._resume, task))

        for one in waiting:
            one.on_done = one_done
        if waiting:
            self._hand_back(task)

    def _hand_back(self, task):
        self._driver.release()
        task.baton.acquire()
        if task.invocation.dead:
            raise KilledError

    def _resume(self, task):
        self.current = task
        if task.started:
            task.baton.release()
        else:
            task.started = True
            threading.Thread(target=self._work, args=(task,), daemon=True).start()
        self._driver.acquire()
        self.current = None
        if task.done:
            task.on_done(task)

    def _work(self, task):
        try:
            if not task.invocation.dead:
                task.result = task.work()
        except BaseException as error:  # noqa: BLE001 - handed on to whoever waits for the task
            task.error = error
        task.done = True
        self._driver.release()


@dataclass(frozen=True)
class Room:
    """Stands in for a condition variable: whoever waits lets others run for a moment."""

    scheduler_of: Callable[[], Scheduler]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def wait(self):
        """Wait for a moment; what is waited for may not be so yet."""
        self.scheduler_of().pause(MS)

    def notify_all(self):
        """Nothing: they wait for a moment only."""


@dataclass(frozen=True)
class Pool:
    """Stands in for a thread pool: the same tasks, each in a thread of the simulation."""

    scheduler_of: Callable[[], Scheduler]

    def map(self, function, *arguments):
        """As `ThreadPoolExecutor.map`: all start at once, results come in order."""
        scheduler = self.scheduler_of()
        calls = list(zip(*arguments, strict=False))
        if len(calls) <= 1:
            return iter([function(*call) for call in calls])
        invocation = scheduler.current.invocation
        tasks = [scheduler.spawn(partial(function, *call), invocation) for call in calls]
        return self._results(scheduler, tasks)

    @staticmethod
    def _results(scheduler, tasks):
        for task in tasks:
            # Where one has failed, nobody waits for the others: they go on.
            scheduler.join([task])
            if task.error is not None:
                raise task.error
            yield task.result
