"""Each role can do all of its work, and nothing else: not another command, key, namespace or script."""

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from coordinator import AsyncCoordinator, Coordinator, Dedup, RetryPolicy, Settings, Similar, State, Submission
from coordinator.doctor import examine
from coordinator.drivers.store import server_version
from coordinator.errors import AccessDenied, ConfigError, LeaseLost, ScriptsMissing, WaitTimeout
from coordinator.keys import key, proof_channel
from coordinator.wire import loader, roles
from tests.security.guarded import NAMESPACE, Guarded, guarded, may_call
from tests.security.rights import ALWAYS, COMMANDS, CONNECT, READS, SCRIPTS, WRITES
from tests.support.cli import Cli
from tests.support.fleet import until_async
from tests.support.topology import cluster
from workers import Registry, Worker


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with guarded(tmp_path_factory.mktemp("acl")) as made:
        yield made


@pytest.fixture(autouse=True)
def nothing_is_refused_unseen(server: Guarded, request: pytest.FixtureRequest) -> Iterator[None]:
    """What Redis refuses is in its log, also where the client shrugs it off."""
    server.refused()
    yield
    if "nothing else" not in (request.node.function.__doc__ or ""):
        assert server.refused() == []


def test_the_table_of_roles_is_this_one() -> None:
    assert {one.name: set(one.scripts) for one in roles.ROLES} == SCRIPTS
    assert {one.name: set(one.commands) for one in roles.ROLES} == COMMANDS
    assert set().union(*SCRIPTS.values()) == set(loader.names())


@pytest.mark.parametrize("version", [(6, 2), (7, 0), (7, 2)])
@pytest.mark.parametrize("role", roles.NAMES)
def test_the_commands_of_a_role_are_those_of_its_scripts(role: str, version: tuple[int, int]) -> None:
    found = roles.role(role)
    called = set(roles.address(found.scripts, version))
    loading = {"script|load" if version == (6, 2) else "function|load"}
    rest = set(roles.allowed(found, version)) - called - CONNECT - COMMANDS[role]
    assert ("client|setinfo" in rest) == (version != (7, 0))
    rest.discard("client|setinfo")
    assert len(called) == 2 * len(SCRIPTS[role]), "each alone and in a Cluster"
    assert rest <= READS | WRITES | (set() if found.scripts else loading) if role != "observer" else rest <= READS
    assert (rest == loading) == (role == "loader")


# --- what each can do


def test_a_producer_can_do_its_work(server: Guarded) -> None:
    with server.client("producer") as co:
        co.warm("answered", [(1, 2)])
        assert co.coalesce("answered", 1) == 2
        co.forget("answered", [1])
        alike = [co.submit("alike", "some text", queue="alike", similar=Similar()) for _ in range(2)]
        assert alike[1].similar.ident == alike[0].ident
        ticket = co.submit("job", {"n": 1}, resources=["a"], metadata={"a": 1}, dedup=Dedup("k", "replace"))
        assert co.submit("job", 2, dedup=Dedup("k", "replace")).replaced
        assert ticket.state() is State.READY
        assert ticket.position().place == 0
        ticket.reprioritise("high")
        with pytest.raises(WaitTimeout):
            ticket.result(0.3)
        for one in [ticket, *co.submit_many([Submission("job", 1), Submission("job", 2, delay=60)])]:
            assert one.cancel("no more")
    said = server.cli("producer").call("submit", "job", "--delay", "60")
    assert said.returncode == os.EX_OK, said.stderr
    assert server.cli("producer").call("cancel", said.stdout.strip()).returncode == os.EX_OK


async def test_a_worker_can_do_its_work(server: Guarded) -> None:
    jobs, going = Registry(), asyncio.Event()

    @jobs.handler("work", retry=RetryPolicy(max_attempts=2, base=0))
    async def work(ctx: Any, payload: Any) -> Any:
        ctx.progress(0.5, "half")
        if ctx.attempt == 1:
            raise ValueError("once more")
        return [payload, ctx.fence("a")]

    @jobs.handler("endless")
    async def endless(ctx: Any, payload: Any) -> None:
        going.set()
        await asyncio.sleep(60)

    producer = AsyncCoordinator.connect(server.url("producer"), settings=server.settings())
    async with producer, Worker(jobs, server.url("worker"), settings=server.settings(), queues="acl-work"):
        ticket = await producer.submit("work", 1, resources=["a"], queue="acl-work")
        assert (await ticket.result(10))[0] == 1
        told = await producer.submit("endless", queue="acl-work")
        await asyncio.wait_for(going.wait(), 10)
        await told.cancel("enough")

        async def over() -> bool:
            return await told.state() is State.CANCELLED

        await until_async(over)
        await asyncio.sleep(1.2)  # a heartbeat that sweeps


@pytest.mark.parametrize("face", ["sync", "async"])
def test_a_locker_can_do_its_work(server: Guarded, face: str) -> None:
    with server.client("locker") as one, server.client("locker") as two:
        with one.lock(["a", "b"], wait=5, reason="test") as lease:
            lease.extend(30)
            assert two.try_acquire("a") is None
            ticket = two.request("a", priority="low")
            ticket.reprioritise("high")
            assert ticket.position().place == 0
            gives_up = two.request("b")
            assert gives_up.cancel()
        with ticket.wait(5) as got:
            assert got.fence > lease.fence
            heir = one.request("a", owner="pr-1")
            got.hand_over(to_owner="pr-1")
        assert ticket.state() is State.RELEASED
        heir.wait(5).release()
    done = server.cli("locker").run("lock", "a", "--wait", "5", "--", "true")
    assert done.returncode == os.EX_OK, done.stderr


def test_an_observer_can_look_at_everything(server: Guarded) -> None:
    with server.client("locker") as locker, server.client("producer") as producer:
        lease, job = locker.acquire("a"), producer.submit("job", resources=["a"], delay=0)
        look = server.cli("observer")
        for words in (["ls"], ["ls", "--queues"], ["ls", "--sessions"], ["ls", "--dead"], ["show", "a"], ["stats"]):
            assert look.json(*words) is not None
        for words in (["show", job.ident], ["why", job.ident]):
            assert look.call(*words).returncode == os.EX_OK
        assert look.call("events", "--json").returncode == os.EX_OK
        with server.client("observer") as co:
            assert co.explain(job.ident).state is State.WAITING
            assert co.line("a").holders[0].ident == lease.ident
        job.cancel()


def test_an_operator_can_intervene(server: Guarded) -> None:
    with server.client("locker") as locker, server.client("producer") as producer, server.client("operator") as boss:
        lease = locker.acquire("a")
        job = producer.submit("job", resources=["a"])
        boss.reprioritise(job.ident, "critical")
        boss.define("gpu", capacity=4)
        boss.reorder(job.ident, "front")
        boss.freeze("b/**", 60, "release day")
        assert boss.let_pass(job.ident, "outage") is not None
        boss.thaw("b/**")
        assert boss.force_release(lease.ident, "runner is gone") == State.LOST
        with pytest.raises(LeaseLost):
            lease.release()
        assert boss.cancel(job.ident)
        gone = producer.submit("job")
        server.admin.delete(key(NAMESPACE, "NEEDS", gone.ident))
        server.admin.set(key(NAMESPACE, "NOTE", "nobody"), "x")
        server.admin.zadd(key(NAMESPACE, "READY", "default"), {"nobody-1": 1})
        report = examine(boss, fix=True, grace=0)
        assert report.healthy, report.problems
        assert report.fixed
        boss.cancel(gone.ident)
    done = server.cli("operator").call("doctor", "--fix", "--json")
    assert done.returncode == os.EX_OK, done.stdout + done.stderr


# --- and nothing else


@pytest.mark.parametrize("role", roles.NAMES)
def test_a_role_may_send_no_other_command(server: Guarded, role: str) -> None:
    """And nothing else: every command of this server is tried."""
    wanted = {one.partition("|")[0] if "evalsha|" in one or "fcall|" in one else one for one in _rules(server, role)}
    sent = 0
    with server.connection(role) as bare:
        for name, (words, _first) in server.commands().items():
            if name in wanted | ALWAYS or name.startswith("command|"):
                continue
            parts = name.split("|")
            answer = _answer(bare, *parts, *["x"] * (words - len(parts)))
            # MODULE and DEBUG are switched off for everybody before rights are looked at.
            assert "NOPERM" in answer or f"{parts[0].upper()} command not allowed" in answer, name
            sent += 1
        assert bare.ping()
    assert sent > 160


@pytest.mark.parametrize("role", roles.NAMES)
def test_a_role_speaks_on_one_channel(server: Guarded, role: str) -> None:
    """And nothing else: that of another namespace, and one that begins the same, are refused."""
    with server.connection(role) as bare:
        assert not _answer(bare, "publish", proof_channel(NAMESPACE), "").startswith("NOPERM")
        for channel in (proof_channel("other"), f"{proof_channel(NAMESPACE)}s", "x"):
            assert _answer(bare, "publish", channel, "").startswith("NOPERM"), channel


@pytest.mark.parametrize(
    "foreign", ["co:{guarded2}:meta", "co:{other}:meta", "co:guarded:meta", "other", "co:{guarded}x"]
)
@pytest.mark.parametrize("role", roles.NAMES)
def test_a_role_reaches_no_key_outside_its_namespace(server: Guarded, role: str, foreign: str) -> None:
    """And nothing else: every command of the role is tried on a foreign key."""
    commands, own, tried = server.commands(), f"co:{{{NAMESPACE}}}:acl-probe", 0
    with server.connection(role) as bare:
        for name in _rules(server, role):
            words, first = commands.get(name, (0, 0))
            if not first:
                continue
            parts = name.split("|")
            args = ["1"] * (words - len(parts))
            args[first - len(parts)] = foreign
            assert _answer(bare, *parts, *args).startswith("NOPERM"), name
            args[first - len(parts)] = own
            assert name == "blpop" or not _answer(bare, *parts, *args).startswith("NOPERM"), name
            tried += 1
        for script in roles.role(role).scripts:
            assert _answer(bare, *may_call(server, role, script), 1, foreign, "x").startswith("NOPERM"), script
            assert _answer(bare, *may_call(server, role, script), 2, own, foreign).startswith("NOPERM"), script
    server.admin.delete(own)
    assert tried or role == "loader"


# Commands that take any number of keys, and what comes behind those.
OF_MANY = {"blpop": ["1"], "del": [], "exists": [], "mget": [], "unlink": []}


@pytest.mark.parametrize("foreign", ["co:{guarded2}:meta", "other"])
@pytest.mark.parametrize("role", roles.NAMES)
def test_a_key_of_its_own_in_front_helps_no_role_to_a_foreign_one(server: Guarded, role: str, foreign: str) -> None:
    """And nothing else: what is asked of many keys at once, and scripts with more keys or with another namespace's."""
    own = f"co:{{{NAMESPACE}}}:acl-probe"
    server.admin.set(foreign, "theirs")
    with server.connection(role) as bare:
        for name in OF_MANY.keys() & set(_rules(server, role)):
            for keys in ([own, foreign], [foreign, own]):
                assert _answer(bare, name, *keys, *OF_MANY[name]).startswith("NOPERM"), name
        for script in roles.role(role).scripts:
            for keys in ([own, foreign], [foreign, own], [own, own, foreign]):
                call = [*may_call(server, role, script), len(keys), *keys, "x"]
                assert _answer(bare, *call).startswith("NOPERM"), script
    assert server.admin.get(foreign) == b"theirs"
    assert server.admin.delete(foreign, own) == 1


@pytest.mark.parametrize("role", roles.NAMES)
def test_a_role_may_run_no_other_script(server: Guarded, role: str) -> None:
    """And nothing else: every other script of ours is tried, and some that are not ours."""
    own = key(NAMESPACE, "META")
    with server.connection(role) as bare:
        for script in set(loader.names()) - SCRIPTS[role]:
            assert _answer(bare, *may_call(server, role, script), 1, own, "x").startswith("NOPERM"), script
        for words in (
            ("EVAL", "return 1", 0),
            ("EVALSHA", "f" * 40, 0),
            ("EVAL_RO", "return 1", 0),
            ("FCALL", "anything", 0),
            ("FUNCTION", "FLUSH"),
            ("FUNCTION", "DELETE", "x"),
            ("SCRIPT", "FLUSH"),
            ("CONFIG", "SET", "maxmemory", "1"),
            ("ACL", "SETUSER", "x"),
        ):
            answer = _answer(bare, *words)
            assert answer.startswith("NOPERM") or (server.version < (7, 0) and "unknown" in answer), words


def test_an_observer_cannot_write_a_single_key(server: Guarded) -> None:
    """And nothing else: scripts that could write are held to its rights too."""
    with server.client("producer") as producer, server.client("observer") as co:
        job = producer.submit("job")
        before = server.admin.dbsize()
        with pytest.raises(AccessDenied):
            co.get(job.ident)
        with pytest.raises(AccessDenied):
            co.cancel(job.ident)
        with pytest.raises(AccessDenied):
            co.acquire("a")
        assert server.admin.dbsize() == before
        assert job.cancel()


@pytest.mark.parametrize(
    ("role", "forbidden"),
    [
        ("producer", lambda co: co.acquire("a", wait=0.1)),
        ("producer", lambda co: co.replay("x")),
        ("producer", lambda co: co.define("a", capacity=2)),
        ("producer", lambda co: co.survey()),
        ("locker", lambda co: co.submit("job")),
        ("locker", lambda co: co.force_release("x", "y")),
        ("locker", lambda co: co.transfer("x", "y", "z")),
        ("worker", lambda co: co.submit("job")),
        ("worker", lambda co: co.acquire("a")),
        ("operator", lambda co: co.submit("job")),
        ("operator", lambda co: co.acquire("a")),
        ("loader", lambda co: co.survey()),
    ],
)
def test_what_a_role_may_not_do_is_said_by_name(server: Guarded, role: str, forbidden: Any) -> None:
    """And nothing else, with an error of ours."""
    with server.client(role) as co, pytest.raises(AccessDenied, match="does not let this user run the script"):
        forbidden(co)


def test_the_command_line_says_what_is_missing(server: Guarded) -> None:
    """And nothing else, told in one line."""
    done = server.cli("observer").call("cancel", "x")
    assert done.returncode == os.EX_NOPERM
    assert "coordinator acl" in done.stderr
    as_json = json.loads(server.cli("worker").call("ls", "--json").stderr)
    assert as_json["error"]["type"] == "AccessDenied"


def test_whoever_may_not_load_scripts_is_told_who_must(tmp_path: Any) -> None:
    """And nothing else, until the loader comes."""
    with guarded(tmp_path) as fresh:
        fresh.admin.script_flush()
        if fresh.version >= (7, 0):
            fresh.admin.execute_command("FUNCTION FLUSH")
        for role in ("producer", "observer"):
            with fresh.client(role) as co, pytest.raises(ScriptsMissing, match="coordinator load"):
                co.explain("x") if role == "observer" else co.submit("job")
        done = fresh.cli("locker").call("lock", "a", "--", "true")
        assert done.returncode == os.EX_CONFIG
        assert "coordinator load" in done.stderr
        assert fresh.cli("loader").call("load").returncode == os.EX_OK
        with fresh.client("producer") as co:
            assert co.submit("job").cancel()


def test_a_wrong_password_is_a_matter_of_configuration(server: Guarded) -> None:
    wrong = server.url("producer").replace("@", "x@")
    with Coordinator.connect(wrong, settings=server.settings()) as co, pytest.raises(ConfigError, match="credentials"):
        co.submit("job")
    server.refused()


def _rules(server: Guarded, role: str) -> list[str]:
    return roles.allowed(roles.role(role), server.version)


def _answer(bare: "redis.Redis", *words: Any) -> str:
    """The error of a command, with its code in front, or empty."""
    try:
        bare.execute_command(*words)
    except redis.exceptions.NoPermissionError as error:
        return f"NOPERM {error}"
    except redis.exceptions.NoScriptError as error:
        return f"NOSCRIPT {error}"
    except redis.ResponseError as error:
        return str(error)
    return ""


def test_roles_of_a_cluster(tmp_path: Path) -> None:
    """And nothing else is asked for there, but for what is forbidden here."""
    with cluster(tmp_path) as url, redis.Redis.from_url(url.replace("redis+cluster", "redis")) as admin:
        for role in roles.NAMES:
            rules = roles.rules(role, NAMESPACE, server_version(admin.info())[:2])
            admin.execute_command("ACL SETUSER", role, "reset", "on", f">{role}-secret", *rules)
        urls = {role: url.replace("//", f"//{role}:{role}-secret@") for role in roles.NAMES}
        settings = Settings.of(namespace=NAMESPACE, session_ttl=2.0, sweep_interval=0.2, operation_timeout=2)
        done = Cli(urls["loader"], NAMESPACE).call("load")
        assert done.returncode == os.EX_OK, done.stderr
        with Coordinator.connect(urls["locker"], settings=settings) as co, co.lock("a") as lease:
            assert lease.held
        with Coordinator.connect(urls["producer"], settings=settings) as co:
            assert co.submit("job").cancel()
        with Coordinator.connect(urls["operator"], settings=settings) as co:
            assert examine(co).healthy
        # 6.2 refuses CLIENT with a word that it does not know; newer servers say that they do not know it.
        assert {one["object"] for one in admin.acl_log()} <= {"client"}
        with Coordinator.connect(urls["producer"], settings=settings) as co, pytest.raises(AccessDenied):
            co.acquire("a")
