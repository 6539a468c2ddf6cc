"""One go at one task by one worker: its steps in order, each outcome recorded before the next."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from backroom.domain import lifecycle
from backroom.domain.errors import (
    BackroomError,
    StaleTask,
    StepNotReady,
    StepRejected,
    StoreUnavailable,
)
from backroom.domain.instance import instance_view
from backroom.domain.lifecycle import Fault, Verb
from backroom.domain.task import (
    AttemptRecord,
    Change,
    Kind,
    Outcome,
    State,
    StepRecord,
    StepState,
    Task,
)
from backroom.engine import log_fields, scheduler
from backroom.engine.backoff import delay_s
from backroom.engine.call import Call, TimedOut
from backroom.engine.contexts import context_of, decoded, outputs_of
from backroom.engine.faults import FAULT_CODE, fault_of, storable
from backroom.engine.surroundings import Surroundings
from backroom.operations.catalogue import CATALOGUE
from backroom.operations.operation import Operation, Step, StepContext
from backroom.operations.submission import typed_params
from backroom.ports import History, Span

BROKEN_ATTEMPTS = 20  # of a bug of ours; a step has its operation's own
LOST_IN_A_ROW = 50  # a task that brings down each worker that takes it must end some day
HOLD_S = 0.5  # a wait this short keeps the lease: to give it back and claim again is four rows
UNDO_TIMEOUT_S = 60.0
STALE_S = 0.05  # a step met somebody else's change of the instance: it looks again
STORE_RETRY_S = 0.5

_log = logging.getLogger(__name__)


class LeaseLost(BackroomError):
    """Another worker has the task now: stop, touch nothing."""


class Attempt:
    def __init__(self, task: Task, around: Surroundings) -> None:
        self._task = task
        self._around = around
        self._clock = around.clock
        self._lease = (task.worker_id, task.epoch)
        self._verb = "cut off"  # of what was written last

    async def run(self) -> None:
        """Go on until the task ended, waits, or was lost. Raises nothing but cancellation."""
        task, tracer = self._task, self._around.tracer
        if tracer is None:
            await self._run()
            return
        facts = self._facts() | {"backroom.attempt": task.attempt, "backroom.epoch": task.epoch}
        with tracer.work(f"attempt {task.name}", facts, task.request_id) as span:
            try:
                await self._run()
            finally:
                self._tell(span)

    def _facts(self) -> dict[str, str | int]:
        task = self._task
        return {
            "backroom.task_id": task.id,
            "backroom.instance_id": task.instance_id,
            "backroom.project_id": task.project_id,
            "backroom.operation": task.name,
        }

    def _tell(self, span: Span) -> None:
        is_error = self._verb in {Verb.RETRY, Verb.FAIL}
        span.told({"backroom.outcome": str(self._verb)}, is_error=is_error)

    async def _run(self) -> None:
        try:
            try:
                await self._go_on()
            except (LeaseLost, asyncio.CancelledError):
                raise
            except Exception as error:  # noqa: BLE001  a bug of ours must not hold the lane for ever
                await self._break(error)
        except LeaseLost:
            self._verb = "lost"
            _log.warning("lease lost", extra=self._fields())

    async def _break(self, error: Exception) -> None:
        self._say("attempt broke", error)
        fault = fault_of(error, None, hides_values=True)
        now = self._now()
        if self._task.attempt > BROKEN_ATTEMPTS:
            await self._give_up(fault)
            return
        due_at = now + timedelta(seconds=delay_s(self._task.attempt))
        await self._write(lambda task: lifecycle.retry(task, now, due_at, fault))

    def _say(self, what: str, error: Exception) -> None:
        """With all that is known of the error, but its words where they could quote a secret."""
        operation = CATALOGUE.get(self._task.name)
        if operation is None or not operation.has_secrets:
            _log.error(what, extra=self._fields(), exc_info=error)
            return
        fault = fault_of(error, None, hides_values=True)
        _log.error("%s: %s\n%s", what, fault.message, fault.trace, extra=self._fields())

    async def _give_up(self, fault: Fault) -> None:
        self._around.leftovers.note(self._task.id)
        await self._write(lambda task: lifecycle.fail(task, self._now(), fault, None))

    async def _go_on(self) -> None:
        while True:
            try:
                if self._task.kind is Kind.SCHEDULED:
                    await self._start_scheduled()
                else:
                    await self._run_operation()
            except StoreUnavailable as error:  # nothing was done yet: begin again
                await self._store_back(error)
            else:
                return

    async def _run_operation(self) -> None:
        operation = CATALOGUE.get(self._task.name)
        if operation is None:
            message = f"no operation is called {self._task.name}"
            await self._give_up(Fault(code=FAULT_CODE, message=message))
            return
        try:
            params = typed_params(operation, self._task, self._around.vault)
        except msgspec.DecodeError as error:
            await self._give_up(fault_of(error, None, hides_values=operation.has_secrets))
            return
        history = await self._history()
        if _lost_in_a_row(history.attempts) >= LOST_IN_A_ROW:
            message = f"{LOST_IN_A_ROW} workers in a row were lost while they ran it"
            await self._give_up(Fault(code=FAULT_CODE, message=message))
            return
        recorded = {step.name: step for step in history.steps}
        outputs = outputs_of(history.steps)
        context = self._context(params, outputs)
        for position, step in enumerate(operation.steps):
            if step.name in outputs:
                continue
            if not await self._may_go_on(operation, context):
                return
            begun = recorded.get(step.name) or StepRecord(
                name=step.name, position=position, state=StepState.RUNNING, started_at=self._now()
            )
            if not await self._traced_step(operation, context, step, begun):
                return
        # an earlier release had steps behind these, and ended before their last
        after = await self._instance_after()
        await self._write(lambda task: lifecycle.complete(task, self._now(), (), after))

    def _context(self, params: msgspec.Struct, outputs: dict[str, Any]) -> StepContext[Any]:
        return context_of(self._around, CATALOGUE, self._task, params, outputs)

    async def _history(self) -> History:
        """Nothing was done yet by a task that is new and follows no other: most of them."""
        if self._task.epoch == 1 and self._task.parent_id is None:
            return History((), (), ())
        return await self._around.tasks.history(self._task.id)

    async def _instance_after(self) -> str | None:
        """What the instance has become; None when it is gone."""
        while True:
            try:
                task = self._task
                instance = await self._around.instances.get(task.project_id, task.instance_id)
            except StoreUnavailable as error:
                await self._store_back(error)
            else:
                return None if instance is None else instance_view(instance)

    async def _may_go_on(self, operation: Operation[Any], context: StepContext[Any]) -> bool:
        if self._task.cancel_asked_at is not None:
            await self._stop(operation, context)
            return False
        if self._around.stopping.is_set():
            await self._write(lambda task: lifecycle.snooze(task, self._now(), self._now()))
            return False
        return True

    async def _stop(self, operation: Operation[Any], context: StepContext[Any]) -> None:
        await self._undo(operation, context)
        await self._write(lambda task: lifecycle.stop(task, self._now()))

    async def _traced_step(
        self,
        operation: Operation[Any],
        context: StepContext[Any],
        step: Step[Any],
        begun: StepRecord,
    ) -> bool:
        tracer = self._around.tracer
        if tracer is None:
            return await self._run_step(operation, context, step, begun)
        facts = self._facts() | {"backroom.step": step.name}
        with tracer.work(f"step {step.name}", facts, None) as span:
            self._verb = "cut off"
            try:
                return await self._run_step(operation, context, step, begun)
            except LeaseLost:
                self._verb = "lost"
                raise
            finally:
                self._tell(span)

    async def _run_step(
        self,
        operation: Operation[Any],
        context: StepContext[Any],
        step: Step[Any],
        begun: StepRecord,
    ) -> bool:
        """Run one step until it ends and record how; true if the next one may follow."""
        while True:
            try:
                return await self._run_once(operation, context, step, begun)
            except StepNotReady as wait:
                if wait.delay_s > HOLD_S:
                    await self._snooze(begun, wait)
                    return False
                begun = await self._hold(begun, wait)
                if not await self._may_go_on(operation, context):
                    return False

    async def _hold(self, begun: StepRecord, wait: StepNotReady) -> StepRecord:
        """Wait with the lease in hand, then look whether it is still there."""
        step = _further(begun, wait)
        if step.percent > begun.percent:
            await self._write(lambda task: lifecycle.progress(task, self._now(), step))
        until = self._now() + timedelta(seconds=wait.delay_s)
        await self._clock.wait(self._around.stopping, until)
        try:
            await self._refresh()
        except StoreUnavailable as error:
            await self._store_back(error)
        return step

    async def _run_once(
        self,
        operation: Operation[Any],
        context: StepContext[Any],
        step: Step[Any],
        begun: StepRecord,
    ) -> bool:
        """Raises StepNotReady; every other way to end is recorded."""
        try:
            call = Call(self._around.wrap_step(step).run, context, self._around.threads)
            output = msgspec.json.encode(await call.result(step.timeout_s, self._is_unwanted))
        except (StepNotReady, LeaseLost):
            raise
        except (StaleTask, StoreUnavailable) as error:  # no fault of the step's
            again_s = STALE_S if isinstance(error, StaleTask) else STORE_RETRY_S
            raise StepNotReady(again_s, begun.percent) from error
        except StepRejected as never:
            fault = Fault(code=never.code, message=storable(never.reason), step=step.name)
            await self._fail(operation, context, fault, begun)
        except TimedOut as late:
            fault = Fault(
                code=FAULT_CODE, message=f"{step.name} {late}", step=step.name, trace=late.trace
            )
            await self._retry_or_fail(operation, context, begun, fault)
        except Exception as error:  # noqa: BLE001  a fault of any kind is retried, its trace kept
            fault = fault_of(error, step.name, hides_values=operation.has_secrets)
            await self._retry_or_fail(operation, context, begun, fault)
        else:
            return await self._record(operation, context, begun, output)
        return False

    async def _record(
        self, operation: Operation[Any], context: StepContext[Any], begun: StepRecord, output: bytes
    ) -> bool:
        now = self._now()
        done = msgspec.structs.replace(
            begun,
            state=StepState.SUCCEEDED,
            percent=100,
            ended_at=max(now, begun.started_at),
            output=output,
        )
        if operation.steps[-1].name == begun.name:
            after = await self._instance_after()
            await self._write(lambda task: lifecycle.complete(task, now, (done,), after))
            return False
        await self._write(lambda task: lifecycle.record(task, now, (done,)))
        context.outputs[begun.name] = decoded(output)  # type: ignore[index]  # ours to fill
        return True

    async def _snooze(self, begun: StepRecord, wait: StepNotReady) -> None:
        now = self._now()
        due_at = now + timedelta(seconds=wait.delay_s)
        step = _further(begun, wait)
        await self._write(lambda task: lifecycle.snooze(task, now, _due(task, now, due_at), step))

    async def _retry_or_fail(
        self,
        operation: Operation[Any],
        context: StepContext[Any],
        begun: StepRecord,
        fault: Fault,
    ) -> None:
        _log.warning("step faulted", extra=self._fields() | {"step": begun.name})
        if self._task.cancel_asked_at is not None:
            await self._stop(operation, context)
            return
        if self._task.attempt >= operation.max_attempts:
            await self._fail(operation, context, fault, begun)
            return
        now = self._now()
        due_at = now + timedelta(seconds=delay_s(self._task.attempt))
        await self._write(lambda task: lifecycle.retry(task, now, _due(task, now, due_at), fault))

    async def _fail(
        self,
        operation: Operation[Any],
        context: StepContext[Any],
        fault: Fault,
        begun: StepRecord,
    ) -> None:
        await self._undo(operation, context)
        await self._write(lambda task: lifecycle.fail(task, self._now(), fault, begun))

    async def _undo(self, operation: Operation[Any], context: StepContext[Any]) -> None:
        """Best effort, and safe to repeat: what it can't undo must not keep the task for ever."""
        if operation.undo is None:
            return
        tries = 0
        while tries < operation.max_attempts:
            try:
                fresh = self._context(context.params, dict(context.outputs))
                call = Call(operation.undo, fresh, self._around.threads)
                await call.result(UNDO_TIMEOUT_S, self._is_lost)
            except LeaseLost:
                raise
            except StaleTask:
                tries += 1
                continue
            except StoreUnavailable as error:
                await self._store_back(error)
                continue
            except Exception as error:  # noqa: BLE001  the task ends all the same; the log says what is left
                self._say("undo faulted", error)
                self._around.leftovers.note(self._task.id)
            return

    async def _start_scheduled(self) -> None:
        """A scheduled task's work is to submit a background task, in the transaction of its end."""
        while True:
            try:
                changes = await scheduler.start(self._task, self._around, self._now())
                await self._around.tasks.write(*changes)
            except StaleTask:
                await self._refresh()
            else:
                return

    async def _write(self, decide: Callable[[Task], Change]) -> None:
        """Write what is decided. Somebody else may have asked to cancel meanwhile: decide again.

        A store that is away is waited for: an outcome is never thrown away, a step never run again
        because of it.
        """
        change = decide(self._task)
        is_unsure = False  # whether it was kept although no answer came
        while True:
            try:
                await self._around.tasks.write(change)
            except StaleTask:
                if is_unsure and await self._is_kept(change):
                    break
                is_unsure = False
                await self._refresh_when_back()
                change = decide(self._task)
            except StoreUnavailable as error:
                is_unsure = True
                await self._store_back(error)
            else:
                break
        self._task, self._verb = change.task, change.event.verb
        if is_unsure and self._task.state is State.RUNNING:
            await self._refresh_when_back()

    async def _is_kept(self, change: Change) -> bool:
        """A task's n-th event is that of its version n."""
        while True:
            try:
                events = (await self._around.tasks.history(change.task.id)).events
            except StoreUnavailable as error:
                await self._store_back(error)
            else:
                return events[change.task.version - 1 :][:1] == (change.event,)

    async def _refresh_when_back(self) -> None:
        while True:
            try:
                await self._refresh()
            except StoreUnavailable as error:
                await self._store_back(error)
            else:
                return

    async def _is_unwanted(self) -> bool:
        """Whether somebody asked to cancel. Raises LeaseLost."""
        try:
            await self._refresh()
        except StoreUnavailable:
            return False  # its outcome will wait, too
        return self._task.cancel_asked_at is not None

    async def _is_lost(self) -> bool:
        """False, or LeaseLost: an undo is wanted to its end."""
        await self._is_unwanted()
        return False

    async def _store_back(self, error: StoreUnavailable) -> None:
        """Wait a little for a store that is away."""
        _log.warning("store away, outcome kept: %s", error, extra=self._fields())
        await self._clock.wait(asyncio.Event(), self._now() + timedelta(seconds=STORE_RETRY_S))

    async def _refresh(self) -> None:
        stored = await self._around.tasks.get(self._task.id)
        if (
            stored is None
            or stored.state is not State.RUNNING
            or (stored.worker_id, stored.epoch) != self._lease
        ):
            raise LeaseLost(self._task.id)
        self._task = stored

    def _now(self) -> datetime:
        return self._clock.now()

    def _fields(self) -> dict[str, Any]:
        return log_fields.of_task(self._task) | {"attempt": self._task.attempt}


def _due(task: Task, now: datetime, due_at: datetime) -> datetime:
    """One that was asked to cancel meanwhile waits for nothing."""
    return due_at if task.cancel_asked_at is None else now


def _further(begun: StepRecord, wait: StepNotReady) -> StepRecord:
    """Progress never goes back, and is whole only when the step has ended."""
    return msgspec.structs.replace(begun, percent=max(begun.percent, min(wait.percent, 99)))


def _lost_in_a_row(attempts: tuple[AttemptRecord, ...]) -> int:
    """How many of the last attempts ended with the loss of their worker."""
    ended = [attempt.outcome for attempt in attempts if attempt.outcome is not None]
    count = 0
    while count < len(ended) and ended[-1 - count] is Outcome.LOST:
        count += 1
    return count
