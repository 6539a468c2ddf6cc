import re

import pytest
from tests.support.builders import make_instance

from backroom.domain import errors
from backroom.domain.errors import BackroomError, InstanceNotReady, StaleTask
from backroom.domain.ids import new_instance_id, new_project_id, new_task_id, new_user_id
from backroom.domain.instance import InstanceStatus, changed, require_running

HEX = re.compile(r"[0-9a-f]{32}")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def test_changed_instance_has_the_next_version_and_leaves_the_old_one():
    before = make_instance()
    after = changed(before, description="new")
    assert (after.version, after.description) == (2, "new")
    assert (before.version, before.description) == (1, "")


@pytest.mark.parametrize("status", set(InstanceStatus) - {InstanceStatus.RUNNING})
def test_running_is_required_but_it_is_not(status):
    with pytest.raises(InstanceNotReady) as refused:
        require_running(make_instance(status=status))
    assert refused.value.status is status


def test_running_is_required_and_it_is():
    require_running(make_instance())


@pytest.mark.parametrize("make", [new_task_id, new_project_id, new_user_id])
def test_new_id_is_hex_and_another_one_each_time(make):
    assert HEX.fullmatch(make())
    assert make() != make()


def test_new_instance_id_is_a_lower_case_uuid():
    assert UUID.fullmatch(new_instance_id())
    assert new_instance_id() != new_instance_id()


def test_every_error_is_in_the_tree_and_drawn_in_it():
    drawn = set(re.findall(r"[A-Z]\w+", errors.__doc__))
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type)}
    assert {kind.__name__ for kind in kinds} <= drawn
    assert all(issubclass(kind, BackroomError) for kind in kinds)


def test_stale_task_says_which_and_what_was_read():
    stale = StaleTask("t1", 7)
    assert (stale.task_id, stale.version) == ("t1", 7)
    assert "t1" in str(stale)
