"""Use cases on tasks: submit, look, cancel, retry, delete, schedule. Writes; never runs."""

from backroom.domain.task import QueueLimits
from backroom.ports import Clock, InstanceStore, TaskFinder, TaskStore, Vault
from backroom.service.actions import Actions, Move, Retry
from backroom.service.belonging import project_of
from backroom.service.bulk_tasks import Bulk, BulkTasks
from backroom.service.looking import Full, Looking, Progress, Waits
from backroom.service.submissions import LIMITS, ClientToken, Order, Submissions, Submitted

__all__ = [
    "LIMITS",
    "Bulk",
    "ClientToken",
    "Full",
    "Move",
    "Order",
    "Progress",
    "Retry",
    "Submitted",
    "TaskService",
    "Waits",
    "project_of",
]


class TaskService:
    """The one door to all of it."""

    def __init__(
        self,
        tasks: TaskStore,
        finder: TaskFinder,
        instances: InstanceStore,
        vault: Vault,
        clock: Clock,
        limits: QueueLimits = LIMITS,
    ) -> None:
        submissions = Submissions(tasks, finder, instances, vault, clock, limits)
        self.submit = submissions.submit
        self.submit_new = submissions.submit_new
        self.once = submissions.once
        self.submitted_before = submissions.submitted_before

        self.submit_bulk = BulkTasks(submissions, finder, vault, clock).submit_bulk

        actions = Actions(submissions, tasks, instances, vault, clock)
        self.cancel = actions.cancel
        self.retry = actions.retry
        self.delete = actions.delete
        self.reschedule = actions.reschedule
        self.cancel_schedule = actions.cancel_schedule

        looking = Looking(tasks, finder, instances, clock)
        self.show = looking.show
        self.list = looking.list
        self.progress = looking.progress
        self.full = looking.full
        self.state_of = looking.state_of
        self.remaining_s = looking.remaining_s
        self.search = looking.search
        self.forget_usual = looking.forget_usual
