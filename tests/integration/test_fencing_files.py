"""Files that a holder writes: one that slept while its lease ran out is refused."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

import pytest

from coordinator import Coordinator, Lease, Settings, StaleFence
from coordinator.errors import Corrupt
from coordinator.fencing import guarded_file, replace_file

ROOT = Path(__file__).parents[2]


@pytest.fixture
def sync_co(redis_url: str, settings: Settings) -> Iterator[Coordinator]:
    with Coordinator.connect(redis_url, settings=settings) as client:
        yield client


@pytest.fixture
def holders(sync_co: Coordinator) -> tuple[Lease, Lease]:
    """One that slept for longer than its lease, and the one that has had the lock since."""
    asleep = sync_co.acquire("report", ttl=0.05)
    return asleep, sync_co.acquire("report", wait=5)


def test_a_file_refuses_it(tmp_path: Path, holders: tuple[Lease, Lease]) -> None:
    old, new = holders
    report = tmp_path / "report"
    replace_file(report, "of the old one", old)
    report.chmod(0o640)
    replace_file(report, b"of the new one", new)
    with pytest.raises(StaleFence):
        replace_file(report, "late", old)
    with guarded_file(report, new) as path, path.open("a") as file:
        file.write("!")
    assert report.read_text() == "of the new one!"
    assert report.stat().st_mode & 0o777 == 0o640
    with pytest.raises(ValueError, match="x"), guarded_file(report, new.fence + 1):
        raise ValueError("x")
    with pytest.raises(StaleFence):  # whoever was inside, its fence counts
        replace_file(report, "late", new)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["report", "report.fence"]


@pytest.mark.parametrize(
    ("found", "said"), [("", "is empty"), ("what", "holds no fence"), ("1" * 21, "holds no fence")]
)
def test_a_file_whose_fence_is_lost_is_written_by_nobody(tmp_path: Path, found: str, said: str) -> None:
    report, mark = tmp_path / "report", tmp_path / "report.fence"
    replace_file(report, "new", 10)
    mark.write_text(found)
    with pytest.raises(
        Corrupt, match=rf"report\.fence' {said}.*; once nobody is at work under an old lease, remove it"
    ):
        replace_file(report, "late", 9)
    assert (report.read_text(), mark.read_text()) == ("new", found)
    mark.unlink()
    replace_file(report, "newer", 11)


@pytest.mark.parametrize("call", ["open", "write", "fsync", "link"])
def test_a_crash_while_a_fence_comes_to_be_leaves_none_or_a_whole_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    class Crash(BaseException):
        pass

    def crash(*_: Any, **__: Any) -> None:
        raise Crash

    real_open = os.open
    with monkeypatch.context() as patched:
        patched.setattr(os, call, crash)
        if call == "open":  # the second is that of the new file
            patched.setattr(os, call, lambda name, *more: crash() if ".fence." in str(name) else real_open(name, *more))
        with pytest.raises(Crash):
            replace_file(tmp_path / "report", "first", 1)
    assert list(tmp_path.iterdir()) == []
    replace_file(tmp_path / "report", "first", 1)


def test_of_many_who_come_first_all_have_one_fence(tmp_path: Path) -> None:
    report, inside = tmp_path / "report", Lock()

    def write(fence: int) -> bool:
        try:
            with guarded_file(report, fence) as path:
                assert inside.acquire(blocking=False)
                path.write_text(str(fence))
                inside.release()
        except StaleFence:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        wrote = list(pool.map(write, range(1, 33)))
    assert wrote[-1]
    assert (report.read_text(), int((tmp_path / "report.fence").read_text())) == ("32", 32)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_link_has_the_fence_of_what_it_names(tmp_path: Path) -> None:
    link, report = tmp_path / "link", tmp_path / "report"
    link.symlink_to(report)
    replace_file(link, "new", 10)
    with pytest.raises(StaleFence):
        replace_file(report, "late", 9)
    replace_file(report, "newer", 11)
    with pytest.raises(StaleFence):
        replace_file(link, "late", 10)
    assert link.is_symlink()
    assert link.read_text() == "newer"


def test_the_permissions_of_a_new_file_follow_the_umask(tmp_path: Path) -> None:
    plain, report = tmp_path / "plain", tmp_path / "report"
    plain.touch()
    replace_file(report, "x", 1)
    assert report.stat().st_mode == plain.stat().st_mode


def test_a_fence_is_on_disk_with_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.readlink(f"/proc/self/fd/{file}")))
    with guarded_file(tmp_path / "report", 1):
        assert synced[0].startswith(str(tmp_path / ".report.fence."))
        assert synced[1:] == [str(tmp_path / "report.fence"), str(tmp_path)]
    with guarded_file(tmp_path / "report", 2):
        assert synced[3:] == [str(tmp_path / "report.fence")], "the name is there already"


SLEEPER = """
import sys

from coordinator import Coordinator, Settings, StaleFence
from coordinator.fencing import replace_file

url, namespace, path = sys.argv[1:]
fast = Settings.of(namespace=namespace, session_ttl=1, operation_timeout=1, sweep_interval=0.2)
with Coordinator.connect(url, settings=fast) as co:
    lease = co.acquire("report")
    print("has it", flush=True)
    sys.stdin.readline()
    try:
        replace_file(path, "late", lease)
    except StaleFence:
        print("refused", flush=True)
"""


def test_a_process_that_was_stopped_is_refused_when_it_goes_on(
    sync_co: Coordinator, redis_url: str, namespace: str, tmp_path: Path
) -> None:
    report = tmp_path / "report"
    with subprocess.Popen(
        [sys.executable, "-c", SLEEPER, redis_url, namespace, str(report)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as sleeper:
        assert sleeper.stdout is not None
        assert sleeper.stdout.readline() == "has it\n"
        os.kill(sleeper.pid, signal.SIGSTOP)
        try:
            with sync_co.lock("report", wait=20) as lease:
                replace_file(report, "of the new one", lease)
        finally:
            os.kill(sleeper.pid, signal.SIGCONT)
        said, _ = sleeper.communicate("\n", timeout=20)
    assert said == "refused\n"
    assert report.read_text() == "of the new one"
