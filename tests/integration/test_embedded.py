"""The embedded server, on every kind of server at hand. Processes that die are real, and so are the kills."""

import contextlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import redis

from coordinator.drivers import redis_server as program
from coordinator.drivers.embedded import EmbeddedServer, find_server, release_server, shared_server
from coordinator.errors import ServerStartError
from tests.support.server import available_servers, eventually, gone, plain_client

# Starts a server, says where it is, then obeys one word a line.
PROCESS = """
import os, sys, time
from pathlib import Path
from coordinator.drivers.embedded import EmbeddedServer
directory = Path(sys.argv[2]) if sys.argv[2] else None
server = EmbeddedServer(directory, binary=Path(sys.argv[1]))
server.start()
print(server.url, server.pid, int(server.owned), flush=True)
for line in sys.stdin:
    if line.strip() == "fork":
        pid = os.fork()
        if pid == 0:
            sys.stdin = None
            time.sleep(30)
            os._exit(0)
        print(pid, flush=True)
    elif line.strip() == "fork-and-stop":
        pid = os.fork()
        if pid == 0:
            server.stop()
            sys.exit(0)  # runs the exit handlers too
        print(os.waitpid(pid, 0)[1], flush=True)
    elif line.strip() == "stop":
        server.stop()
        print("stopped", flush=True)
"""


class Process:
    """Another process with an embedded server."""

    def __init__(self, binary: Path, directory: Path | None = None) -> None:
        command = [sys.executable, "-c", PROCESS, str(binary), str(directory or "")]
        self.popen = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url, pid, owned = self._read().split()
        self.server_pid, self.owned = int(pid), owned == "1"

    def _read(self) -> str:
        assert self.popen.stdout is not None
        return self.popen.stdout.readline()

    def tell(self, word: str) -> str:
        assert self.popen.stdin is not None
        self.popen.stdin.write(word + "\n")
        self.popen.stdin.flush()
        return self._read().strip()

    def leave(self) -> None:
        """Let the process end by itself, as a program does."""
        self.popen.communicate(timeout=20)

    def kill(self) -> None:
        self.popen.kill()
        self.popen.communicate()

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


@pytest.fixture(params=available_servers().items(), ids=lambda item: item[0])
def binary(request: pytest.FixtureRequest) -> Path:
    return request.param[1]


def ask(url: str, *command: str) -> object:
    with contextlib.closing(plain_client(url)) as client:
        return client.execute_command(*command)


def answers(url: str) -> bool:
    try:
        return bool(ask(url, "PING"))
    except redis.ConnectionError:
        return False


def folder_of(url: str) -> Path:
    return Path(url.removeprefix("unix://")).parent


def test_a_started_server_answers_and_a_stopped_one_is_gone(binary: Path) -> None:
    server = EmbeddedServer(binary=binary)
    server.start()
    url, pid = server.url, server.pid
    assert answers(url)
    assert psutil.pid_exists(pid)
    server.start()
    assert (server.url, server.pid) == (url, pid)
    server.stop()
    assert not answers(url)
    assert gone(pid)
    server.stop()
    with pytest.raises(ServerStartError, match="not running"):
        _ = server.url


def test_a_private_server_is_closed_to_others_and_leaves_nothing(binary: Path) -> None:
    with EmbeddedServer(binary=binary) as server:
        folder = folder_of(server.url)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "redis.sock").stat().st_mode) == 0o700
        assert ask(server.url, "CONFIG", "GET", "port") in ([b"port", b"0"], {b"port": b"0"})
        policy = ask(server.url, "CONFIG", "GET", "maxmemory-policy")
        assert policy in ([b"maxmemory-policy", b"noeviction"], {b"maxmemory-policy": b"noeviction"})
        ask(server.url, "SET", "k", "v")
    assert not folder.exists()


def test_a_directory_keeps_its_data(binary: Path, tmp_path: Path) -> None:
    home = tmp_path / 'da"ta 1'
    with EmbeddedServer(home, binary=binary) as server:
        url = server.url
        ask(url, "SET", "kept", "yes")
    with EmbeddedServer(home, binary=binary) as server:
        assert server.url == url
        assert ask(server.url, "GET", "kept") == b"yes"


def test_settings_are_passed_on(binary: Path) -> None:
    with EmbeddedServer(binary=binary, config={"maxmemory": "50mb", "appendonly": "yes"}) as server:
        got = ask(server.url, "CONFIG", "GET", "maxmemory")
        assert got in ([b"maxmemory", b"52428800"], {b"maxmemory": b"52428800"})


def test_a_second_process_shares_the_server_and_leaves_it_running(binary: Path, tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path, binary=binary) as server, Process(binary, tmp_path) as second:
        assert (second.url, second.server_pid, second.owned) == (server.url, server.pid, False)
        assert second.tell("stop") == "stopped"
        second.leave()
        assert answers(server.url)
        assert server.owned


def test_a_sharer_takes_the_directory_over_once_its_owner_has_gone(binary: Path, tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path, binary=binary)
    with Process(binary, tmp_path) as owner, server:
        assert not server.owned
        ask(server.url, "SET", "kept", "yes")
        owner.leave()
        server.start()
        assert server.owned
        assert ask(server.url, "GET", "kept") == b"yes"


def test_processes_that_start_at_once_end_up_with_one_server(binary: Path, tmp_path: Path) -> None:
    found: list[Process] = []
    threads = [threading.Thread(target=lambda: found.append(Process(binary, tmp_path))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        assert len({process.server_pid for process in found}) == 1
        assert sum(process.owned for process in found) == 1
    finally:
        for process in found:
            process.kill()


def test_killing_the_owner_ends_its_server(binary: Path) -> None:
    with Process(binary) as owner:
        owner.kill()
        assert eventually(lambda: gone(owner.server_pid), 1.0)
        assert eventually(lambda: not folder_of(owner.url).exists(), 1.0)


def test_killing_the_owner_ends_its_server_though_a_fork_of_it_lives(binary: Path, tmp_path: Path) -> None:
    with Process(binary, tmp_path) as owner:
        fork = int(owner.tell("fork"))
        try:
            os.kill(owner.popen.pid, signal.SIGKILL)
            owner.popen.wait()
            assert eventually(lambda: gone(owner.server_pid), 1.0)
            assert not gone(fork)
            with EmbeddedServer(tmp_path, binary=binary) as next_server:
                assert next_server.owned
        finally:
            os.kill(fork, signal.SIGKILL)


def test_a_directory_whose_owner_was_killed_is_whole_for_the_next(binary: Path, tmp_path: Path) -> None:
    with Process(binary, tmp_path) as owner:
        for number in range(500):
            ask(owner.url, "SET", f"k{number}", "v")
        owner.kill()
        with EmbeddedServer(tmp_path, binary=binary) as server:
            # It may still have been there for a moment: then it was shared, and only now is it replaced.
            assert eventually(lambda: gone(owner.server_pid), 1.0)
            server.start()
            assert server.owned
            assert ask(server.url, "DBSIZE") == 500


def test_the_end_of_the_program_ends_its_server(binary: Path) -> None:
    with Process(binary) as owner:
        owner.leave()
        assert gone(owner.server_pid)
        assert not folder_of(owner.url).exists()


@pytest.mark.skipif(sys.platform != "linux", reason="relies on the kernel's signal at a parent's death")
def test_a_server_does_not_outlive_its_warden(binary: Path) -> None:
    with EmbeddedServer(binary=binary) as server:
        pid = server.pid
        parent = psutil.Process(pid).parent()
        assert parent is not None
        assert parent.pid != os.getpid()
        parent.kill()
        assert eventually(lambda: gone(pid), 1.0)


@pytest.mark.skipif(sys.platform != "linux", reason="relies on the kernel's signal at a parent's death")
def test_a_directory_stays_locked_while_an_orphaned_server_may_write_there(binary: Path, tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path, binary=binary) as server, EmbeddedServer(tmp_path, binary=binary) as other:
        pid = server.pid
        os.kill(pid, signal.SIGSTOP)  # so that it cannot end when it is told to
        try:
            parent = psutil.Process(pid).parent()
            assert parent is not None
            parent.kill()
            with pytest.raises(ServerStartError, match="is locked by"):
                other.start(timeout=0.1)
        finally:
            os.kill(pid, signal.SIGCONT)
        # Until it has taken note of the signal it still answers, and could be shared for that moment.
        assert eventually(lambda: gone(pid), 10)
        other.start()
        assert other.pid != pid
        assert other.owned


def test_a_forked_child_does_not_stop_its_parents_server(binary: Path) -> None:
    with Process(binary) as owner:
        assert owner.tell("fork-and-stop") == "0"
        assert answers(owner.url)
        assert folder_of(owner.url).exists()


def test_a_server_outlives_the_thread_that_started_it(binary: Path) -> None:
    server = EmbeddedServer(binary=binary)
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join()
    with server:
        assert not eventually(lambda: not answers(server.url), 0.6)


def test_a_killed_server_can_be_started_again(binary: Path, tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path, binary=binary, config={"appendfsync": "always"}) as server:
        first, url = server.pid, server.url
        ask(url, "SET", "kept", "yes")
        os.kill(first, signal.SIGKILL)
        assert eventually(lambda: gone(first), 1.0)
        server.start()
        assert server.pid != first
        assert server.url == url
        assert ask(url, "GET", "kept") == b"yes"


def test_a_long_path_has_its_socket_elsewhere(binary: Path, tmp_path: Path) -> None:
    home = tmp_path / ("long" * 20) / ("longer" * 20)
    with EmbeddedServer(home, binary=binary) as server, Process(binary, home) as second:
        folder = folder_of(server.url)
        assert folder != home
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert second.url == server.url
        ask(server.url, "SET", "kept", "yes")
    assert not folder.exists()
    with EmbeddedServer(home, binary=binary) as server:
        assert ask(server.url, "GET", "kept") == b"yes"


def test_a_server_that_cannot_start_says_why(binary: Path, tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path, binary=binary, config={"no-such-setting": "1"})
    with pytest.raises(ServerStartError, match="no-such-setting"):
        server.start()
    with EmbeddedServer(tmp_path, binary=binary) as repaired:
        assert answers(repaired.url)


def test_a_failed_start_leaves_no_folder(binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(ServerStartError):
        EmbeddedServer(binary=binary, config={"no-such-setting": "1"}).start()
    assert list(tmp_path.iterdir()) == []


def test_a_missing_binary_is_an_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(ServerStartError, match="nowhere cannot be run"):
        EmbeddedServer(tmp_path, binary=tmp_path / "nowhere").start()


def test_no_server_anywhere_is_an_error_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(program.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ServerStartError, match=r"pip install 'coordinator\[embedded\]'"):
        find_server()


def test_the_bundled_servers_copy_on_path_is_not_another_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundled = find_server("bundled")
    shutil.copy(bundled, tmp_path / "redis-server")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_server() == bundled
    with pytest.raises(ServerStartError, match="on PATH"):
        find_server("path")


def test_data_of_a_newer_server_is_not_given_to_an_older_one(tmp_path: Path) -> None:
    (tmp_path / "appendonlydir").mkdir()
    with pytest.raises(ServerStartError, match="older"):
        EmbeddedServer(tmp_path, binary=find_server("bundled")).start()
    assert not (tmp_path / "redis.log").exists()


@pytest.fixture
def registered(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    for _ in range(2):  # whatever a failed test has left
        server = shared_server(tmp_path)
        release_server(server)
        release_server(server)


def test_users_in_one_process_share_a_server_until_the_last_lets_go(registered: Path) -> None:
    first = shared_server(registered)
    second = shared_server(registered / ".." / registered.name)
    assert second is first
    release_server(first)
    assert answers(second.url)
    url = second.url
    release_server(second)
    assert not answers(url)


def test_users_without_a_directory_share_one_too() -> None:
    first, second = shared_server(None), shared_server(None)
    try:
        assert first is second
    finally:
        release_server(first)
        release_server(second)


def test_fixtures_give_each_test_its_own_corner(
    raw: "redis.Redis", namespace: str, fresh_server: EmbeddedServer, redis_url: str
) -> None:
    raw.set(f"other:{namespace}", "v", ex=10)
    assert raw.get(f"other:{namespace}") == b"v"
    assert fresh_server.url != redis_url
    url = fresh_server.url
    fresh_server.stop()
    fresh_server.start()
    assert fresh_server.url == url


def test_a_program_that_closes_nothing_ends_without_a_word() -> None:
    # The client's goodbye comes before the server's end.
    program = "from coordinator import Coordinator as C; C.connect('embedded://').acquire('a')"
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=30, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
