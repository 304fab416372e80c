"""Shared calls from the command line, on a real Redis."""

import json
import os

from coordinator import Coordinator
from tests.support.cli import Cli


def test_a_kept_answer_is_printed_until_it_is_forgotten(cli: Cli, co: Coordinator) -> None:
    co.warm("plan", [({"pull": 7}, {"changes": 3})])
    asked = ("coalesce", "plan", "--payload", '{"pull": 7}', "--timeout", "0.1")
    assert cli.json(*asked) == {"how": "kept", "result": {"changes": 3}}
    assert json.loads(cli.call(*asked).stdout) == {"changes": 3}
    assert cli.json("forget", "plan", "--payload", '{"pull": 7}') == {"name": "plan", "forgotten": True}
    done = cli.call(*asked)
    assert (done.returncode, done.stdout) == (os.EX_TEMPFAIL, "")
    assert co.survey().queues[0].ready == 1
