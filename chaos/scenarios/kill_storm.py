"""Workers are killed with SIGKILL at random moments, as fast as new ones can be forked.

The delivery cap (3 by default) would set jobs aside after three such deaths, which is right in production and would
hide what is looked for here. So it is raised to its largest value, and jobs that meet it all the same are counted.

Then some die at work, and when their jobs run elsewhere, what they would have reported comes in after all, from a
process that lives, as from a worker that stood still and has a new session: none of it may be taken.
"""

from __future__ import annotations

import signal
import time
from collections import Counter

from chaos import roles
from chaos.processes import Child
from chaos.scenario import Figure, Run, Scenario, Verdict
from chaos.stage import Stage, mixed_jobs, stage
from coordinator import Submission
from coordinator.model import codec
from coordinator.wire import calls

WORKERS, CONCURRENCY, RESOURCES = 6, 4, 200
# Half of the workers are killed up to AT_BIRTH seconds after their fork, the others up to AT_WORK seconds after their
# first job began. A job takes WORK milliseconds: many runs are cut short, and many come to an end.
AT_BIRTH, SHARE_AT_BIRTH, AT_WORK, WORK = 0.08, 0.5, 0.06, (1.0, 40.0)
LONGEST_LIFE, PATIENCE = 10.0, 0.002
DELIVERY_CAP = 1000
CALM_SECONDS, END_SECONDS = 120.0, 10.0
# So many jobs are reported late. The run that is under way then lasts so many milliseconds.
LATE, LATE_QUEUE, LATE_MS = 4, "late", 1500


def play(run: Run) -> Verdict:
    """Kill workers until so many are dead, then let calm ones finish."""
    jobs, kills = run.count("jobs"), run.count("kills")
    with stage(run, max_deliveries=DELIVERY_CAP) as scene:
        began = time.monotonic()
        codes = _storm(scene, jobs, kills)
        storm = time.monotonic() - began
        in_time, taken = _late_reports(scene)
        calm = [scene.worker(concurrency=16) for _ in range(2)]
        scene.drain(CALM_SECONDS)
        for one in calm:
            one.kill()
        ops, problems = scene.judge()
        counted = scene.co.survey(most=1).counters
    records = [one for one in ops if one.op == "job"]
    return Verdict(
        problems,
        (
            Figure("jobs", len(records), least=jobs + LATE, most=jobs + LATE),
            Figure("workers killed", codes[-signal.SIGKILL], least=run.size["kills"]),
            Figure("workers that ended by themselves", codes.total() - codes[-signal.SIGKILL], most=0),
            Figure("kills per second", kills / storm),
            Figure("runs begun", sum(one.op == "start" for one in ops)),
            Figure("runs cut short and taken back", counted.get("crash", 0), least=kills / 20),
            Figure("most deliveries of one job", max(int(one.args["deliveries"]) for one in records)),
            Figure("late reports while another had the job", in_time, least=1),
            Figure("late reports that were taken", taken, most=0),
            Figure("dead by the delivery cap", counted.get("bury", 0), most=0),
        ),
    )


def _storm(scene: Stage, jobs: int, kills: int) -> Counter[int | None]:
    """Jobs come as the kills go on, so that there is always work to be torn from somebody. How many ended in which way:
    a worker that was over before its time has not been killed."""
    chance, killed, handed_in = scene.run.random, 0, 0
    dead: list[Child] = []
    work = mixed_jobs(chance, jobs, WORK, RESOURCES)
    victims = [_Victim(scene) for _ in range(WORKERS)]
    while killed < kills:
        due = min(jobs, WORKERS * CONCURRENCY + (jobs * (killed + 1)) // kills)
        if due > handed_in:
            scene.submit(work[handed_in:due])
            handed_in = due
        now = time.monotonic()
        for at, one in enumerate(victims):
            if one.is_due(now) and killed < kills:
                one.child.kill()
                dead.append(one.child)
                killed += 1
                victims[at] = _Victim(scene)
        scene.run.progress(f"{scene.run.scenario}: {killed} killed", killed, kills)
        time.sleep(PATIENCE)
    for one in victims:
        one.child.kill()
        dead.append(one.child)
    return Counter(one.wait(END_SECONDS) for one in dead)


def _late_reports(scene: Stage) -> tuple[int, int]:
    """How many of the late reports came while another worker had the job, and how many were taken."""
    doomed = scene.worker(concurrency=LATE, queues=LATE_QUEUE)
    payload = {"ms": LATE_MS, "first_ms": 60_000}
    needs: list[list[str]] = [[f"late/{number}"] if number % 2 else [] for number in range(LATE)]
    scene.submit([Submission(roles.STEP, payload, queue=LATE_QUEUE, resources=one) for one in needs])
    scene.until(lambda: len(scene.begun(doomed)) == LATE, 30, "the jobs have begun")
    doomed.kill()
    heir = scene.worker(concurrency=LATE, queues=LATE_QUEUE)
    scene.until(lambda: len(scene.begun(heir)) == LATE, 30, "another worker has them")
    reports = [
        calls.Report(job, str(fence), "succeeded", 0, codec.pack(f"{job} {fence}", "a result", limit=1000))
        for job, fence in scene.begun(doomed).items()
    ]
    driver = scene.co._driver
    raw = driver.store.call(calls.settle(driver.scope, driver.keeper.ensure(), calls.Claim(0, 0, 0, ()), reports))
    in_time = sum(one[0] == b"ok" or one[1] == b"running" for one in raw[1])
    return in_time, sum(one[0] == b"ok" for one in raw[1])


class _Victim:
    """A worker, and when it dies."""

    def __init__(self, scene: Stage) -> None:
        self._scene, now = scene, time.monotonic()
        chance = scene.run.random
        at_birth = chance.random() < SHARE_AT_BIRTH
        self._due = now + (chance.uniform(0, AT_BIRTH) if at_birth else LONGEST_LIFE)
        self._begun = at_birth
        self.child = scene.worker(concurrency=CONCURRENCY)

    def is_due(self, now: float) -> bool:
        """Whether its time has come."""
        if not self._begun and self._scene.has_begun(self.child):
            self._begun, self._due = True, now + self._scene.run.random.uniform(0, AT_WORK)
        return now >= self._due


SCENARIO = Scenario(
    "kill-storm",
    "Whatever workers die of, and whenever: no job is lost, none is settled twice, every one reaches its end.",
    "0 lost, 0 settled twice, every job final, fences strictly growing",
    short={"jobs": 2000, "kills": 1000},
    long={"jobs": 20_000, "kills": 10_000},
    play=play,
)
