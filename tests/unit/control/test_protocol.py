"""Lines of the control socket: what is prepared is passed on as it is."""

from __future__ import annotations

import json

from callcenter.control.protocol import Prepared, answer_line, done, line


def test_an_answer_with_prepared_values_is_the_same_json_on_one_line() -> None:
    states = {"callcenter/v1/agents/ana/state": '{"name":"Žofie \\n 雪"}'.encode(), "b": b"[]"}
    told = answer_line(done("1", {"seq": 7, "states": Prepared(states)}))
    assert (told.count(b"\n"), told[-1:]) == (1, b"\n")
    assert json.loads(told) == {
        "id": "1",
        "ok": True,
        "result": {"seq": 7, "states": {"callcenter/v1/agents/ana/state": {"name": "Žofie \n 雪"}, "b": []}},
    }
    assert json.loads(answer_line(done(None, {"states": Prepared({})})))["result"] == {"states": {}}


def test_any_other_answer_is_ascii_whatever_stands_in_it() -> None:
    answer = done("1", {"name": "Žofie \ud800"})
    assert answer_line(answer) == line(answer)
    assert line(answer).isascii()
