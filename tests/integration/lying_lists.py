#!/usr/bin/env python3
"""The carrier took a call, or did not, and answers with 500; and then its lists lie, each lead's in another way. What is
not known stays unknown, whatever they say, and an alarm rises; one honest word settles it."""
import collections
import json
import time
import urllib.parse
import uuid

import report
import wire
import world

NONE = {"api_id": "a", "calls": []}
OTHER = "+4915112345678"


def cdrs(objects, total=None, offset=0, following=None, limit=20):
    return {"api_id": "a", "objects": objects, "meta": {"limit": limit, "offset": offset, "previous": None, "next": following,
                                                       "total_count": len(objects) if total is None else total}}


def record(call_uuid, asked, to=None, **more):
    moment = time.strftime("%Y-%m-%d %H:%M:%S+00:00", time.gmtime())
    return dict({"call_uuid": call_uuid, "call_direction": "outbound", "from_number": asked["from"], "to_number": to or asked["to"],
                 "initiation_time": moment, "answer_time": None, "end_time": moment, "call_duration": 3, "bill_duration": 0,
                 "hangup_cause_code": 3010, "hangup_cause_name": "Busy Line", "hangup_source": "Callee"}, **more)


def page(asked, offset, first, total):
    return cdrs([record("00000000-0000-4000-8000-%012d" % (first + i), asked, asked["to"] + "9") for i in range(20)], total, offset,
                "/v1/Account/x/Call/?offset=%d" % (offset + 20))


Ask = collections.namedtuple("Ask", "asked offset status")
# name: (reason of the alarm, the answer to a question for ended calls: (status, object or bytes, headers))
LIES = {
    "500": ("unavailable", lambda a: (500, {}, {})),
    "a page for people": ("page", lambda a: (200, b"<html>It works!</html>", {})),
    "an error as success": ("page", lambda a: (200, {"api_id": "a", "error": "later"}, {})),
    "objects of the wrong type": ("page", lambda a: (200, dict(cdrs([]), objects={}), {})),
    "more by the link than by the count": ("page", lambda a: (200, cdrs([], following="/v1/x"), {})),
    "the next page at another host": ("page", lambda a: (200, cdrs([], following="https://evil.example/"), {})),
    "a count that shows less": ("page", lambda a: (200, cdrs([], total=3), {})),
    "another page than asked for": ("page", lambda a: (200, cdrs([], offset=40), {})),
    "the same page again and again": ("repeated", lambda a: (200, page(a.asked, a.offset, 0, 200), {})),
    "pages without an end": ("endless", lambda a: (200, page(a.asked, a.offset, a.offset, 10 ** 6), {})),
    "a list that moves": ("moved", lambda a: (200, page(a.asked, a.offset, a.offset, 60 + a.offset), {})),
    "other people's calls": ("foreign", lambda a: (200, cdrs([record(str(uuid.uuid4()), a.asked, OTHER)]), {})),
    "an absurd size": ("unavailable", lambda a: (200, b" " * (8 << 20) + json.dumps(cdrs([])).encode(), {})),
    "a clock of last year": ("date", lambda a: (200, cdrs([]), {"Date": "Sat, 22 Nov 2025 10:00:00 GMT"})),
    "no clock": ("date", lambda a: (200, cdrs([]), {"Date": None})),
    # No lie, and no proof either: a longer number's call is not this one's.
    "honest: only a longer number": (None, lambda a: (200, cdrs([record(str(uuid.uuid4()), a.asked, a.asked["to"] + "9")]), {})),
    "honest: nothing": (None, lambda a: (200, cdrs([]), {})),
}
ALARMS = sorted({reason for reason, _ in LIES.values() if reason})


class Liar(wire.Carrier):
    """Answers each POST with 500, and lists by the number that they are asked for."""

    def __init__(self):
        super().__init__(world.AUTH_ID)
        self.lie = {}  # number without + -> name
        self.truth = set()  # numbers whose lists are honest by now
        self.reached = {}  # number -> call_uuid: the carrier had taken it
        self.asked = collections.Counter()
        handler = self.server.RequestHandlerClass
        carrier = self

        def do_get(request):
            status, body, headers = carrier.list_of(urllib.parse.urlsplit(request.path))
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            request.send_response_only(status)
            date = headers.get("Date", request.date_time_string())
            if date:
                request.send_header("Date", date)
            request.send_header("Content-Type", "application/json")
            request.send_header("Content-Length", str(len(data)))
            request.end_headers()
            try:
                request.wfile.write(data)
            except OSError:
                request.close_connection = True  # they would not read so much
        handler.do_GET = do_get

    def on_post(self, asked):
        call = dict(asked, call_uuid=str(uuid.uuid4()))
        with self.lock:
            self.calls.append(call)
            number = call["to"].lstrip("+")
            if number not in self.lie and len(self.lie) < len(LIES):
                self.lie[number] = list(LIES)[len(self.lie)]
                self.reached[number] = call
        return 500, {"api_id": "a", "error": "internal"}

    def list_of(self, parts):
        query = dict(urllib.parse.parse_qsl(parts.query))
        number = query.get("to_number", "").strip().lstrip("+")
        name = self.lie.get(number)
        if "status" in query:
            clock = LIES[name][1](None)[2] if name and LIES[name][0] == "date" and number not in self.truth else {}
            return 200, NONE, clock
        if name is None:
            return 200, cdrs([]), {}
        self.asked[name] += 1
        if number in self.truth and LIES[name][0] is not None:
            call = self.reached[number]
            return 200, cdrs([record(call["call_uuid"], call)]), {}
        return LIES[name][1](Ask(self.reached[number], int(query.get("offset", 0)), None))


def status_of(w):
    return {r["callee_number"].lstrip("+"): r["status"] for r in w.rows("SELECT callee_number, status FROM call_logs WHERE direction = 'outbound'")}


def by_name(carrier, states):
    return {carrier.lie[n]: s for n, s in states.items() if n in carrier.lie}


carrier = Liar()
with report.Report("lying lists") as t, world.World("lies", carrier=carrier.url) as w:
    daemon = w.daemon(DIALWRIGHT_ANALYSIS_DELAY_MS="0", DIALWRIGHT_ORPHAN_SWEEP_S="86400", DIALWRIGHT_PLACE_TIMEOUT_MS="1000", DIALWRIGHT_CARRIER_QUEUE_MS="500",
                      DIALWRIGHT_CDR_LAG_MS="500").ready()
    w.setup([w.campaign(max_attempts=1, transfer="off", calls_per_second=50, retry_policy="quick")], account={"calls_per_second": 50})
    w.import_leads(len(LIES))
    w.start()
    world.until(lambda: len(carrier.lie) == len(LIES), 30, w.progress)
    liars = {n for n, (reason, _) in LIES.items() if reason}
    honest = set(LIES) - liars
    # The honest ones show how long it takes to be sure that nothing is there; the liars had the same time, and more.
    world.until(lambda: {by_name(carrier, status_of(w)).get(n) for n in honest} == {"not_placed"}, 60, w.progress)
    t.ok(True, "honest empty lists: not placed, after the horizon")
    asked = dict(carrier.asked)
    world.until(lambda: all(carrier.asked[n] >= asked.get(n, 0) + 2 for n in liars), 60, lambda: dict(carrier.asked - collections.Counter(asked)))
    states = by_name(carrier, status_of(w))
    for name in sorted(liars):
        t.same(states.get(name), "outcome_unknown", "unknown stays unknown: %s" % name)
    t.none(["%s: %d" % (r, daemon.metric("carrier_list_faults_total", reason=r)) for r in ALARMS if daemon.metric("carrier_list_faults_total", reason=r) < 2],
           "an alarm rises for each: %s" % ", ".join(ALARMS))
    t.note("alarms: " + ", ".join("%s %d" % (r, daemon.metric("carrier_list_faults_total", reason=r)) for r in ALARMS))
    t.ok(daemon.metric("unknown_attempts") >= len(liars), "and they are counted as unknown")
    dialed = collections.Counter(carrier.lie.get(c["to"].lstrip("+")) for c in carrier.calls)
    t.none([n for n in liars if dialed[n] != 1], "none of them is dialed a second time")
    t.none(w.rows("SELECT id FROM call_logs WHERE status = 'outcome_unknown' AND absent_scans > 0 AND callee_number NOT IN (%s)"
                  % ",".join("'+%s'" % n for n, name in carrier.lie.items() if LIES[name][0] in ("date", None))), "no scan of theirs counts as one that showed nothing")
    # One honest word.
    carrier.truth.update(carrier.lie)
    world.until(lambda: {by_name(carrier, status_of(w)).get(n) for n in liars} == {"ended"}, 60, lambda: str(by_name(carrier, status_of(w))))
    t.ok(True, "one honest list settles each: ended, as the carrier's record says")
    t.none(w.rows("SELECT id, cause_code FROM call_logs WHERE status = 'ended' AND cause_code IS DISTINCT FROM 3010"), "with its cause")
    t.same(daemon.metric("anomalies_total"), 0, "no anomaly")
    w.check_processes(t)
    w.stop_daemons(t)
carrier.close()
