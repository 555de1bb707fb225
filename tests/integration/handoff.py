#!/usr/bin/env python3
"""A lead asks for a person: the agent accepts, declines or does not answer; and what the recordings' addresses give."""
import datetime
import hashlib
import hmac
import threading
import time
import urllib.parse

import report
import wire
import world


APOLOGY = "Nobody of us is free, we will call you back."


def one_call(agents):
    w = world.World("hand_" + "_".join(agents), people={"wants_human": 1}, agents=agents)
    w.daemon().ready()
    w.setup([w.campaign(max_attempts=1, transfer_apology=APOLOGY)])
    w.import_leads(1)
    w.start()
    return w


def row(w, query):
    rows = w.rows(query)
    return rows[0] if len(rows) == 1 else {"rows": len(rows)}


def the_call(w):
    return row(w, "SELECT c.id, c.status, c.transferred, c.transferred_at, c.transfer_reason, c.recording_url, a.state, a.call_sid,"
                  " a.agent_name, a.agent_number, a.ringing_at, a.answered_at, a.started_at, a.ended_at, a.duration, a.outcome,"
                  " a.briefing FROM call_logs c JOIN agent_calls a ON a.ai_call_log_id = c.id")


def agent_leg(w):
    return {e["event"]: e for e in w.truth() if e["leg"] == "agent" and e["event"] != "webhook"}


def moment(event):
    return datetime.datetime.fromisoformat(event["at"].replace("Z", "+00:00")).timestamp()


def repeat_action(w):
    """The Dial's report once more, as the carrier repeats it when it did not get our answer."""
    kept = row(w, "SELECT e.payload, l.id, l.organization_id, l.queue_id, l.attempt_number FROM call_events e"
                  " JOIN call_logs l ON l.id = e.call_log_id WHERE e.kind = 'agent-action'")
    who = wire.Identity(*(kept[k].replace("-", "") for k in ("id", "organization_id", "queue_id")), kept["attempt_number"],
                        int(time.time()) + 600)
    url = "%s/carrier/plivo/agent-action/%s" % (w.daemons[0].url, wire.identity_text(world.SECRET, "agent-action", who))
    return wire.post(wire.hook(world.AUTH_TOKEN, url, kept["payload"]))


def free_agent(t, w, how):
    t.same(row(w, "SELECT state, agent_call_id FROM agent_presence"), {"state": "available", "agent_call_id": None}, how + ": the agent is free again")


def accepted(t, w):
    call, leg = the_call(w), agent_leg(w)
    t.same((call.get("status"), call.get("transferred"), call.get("state")), ("ended", True, "closed"), "accepted: bridged, then closed")
    t.same((call.get("agent_name"), call.get("agent_number")), ("Robin", world.AGENT), "accepted: by whom")
    t.same(call.get("call_sid"), leg.get("accepted", {}).get("call_uuid"), "accepted: the leg is the carrier's")
    times = [call.get(k) for k in ("ringing_at", "answered_at", "started_at", "ended_at")]
    t.ok(all(times) and times == sorted(times), "accepted: rung, answered, bridged, ended, in this order", times)
    t.ok(call["duration"] > 0 and "Press 1" in call["briefing"] and call["transfer_reason"], "accepted: duration, briefing, reason", call)
    t.same(w.number("SELECT count(*) FROM follow_up_tasks WHERE reason_key = 'handoff_callback'"), 0, "accepted: nobody has to call back")
    t.same(w.number("SELECT transferred_calls FROM campaigns"), 1, "accepted: counted")
    free_agent(t, w, "accepted")


def not_taken(t, w, how, state):
    call = the_call(w)
    t.same((call.get("status"), call.get("transferred"), call.get("state")), ("ended", False, state), how + ": not transferred")
    t.same((call.get("started_at"), call.get("duration")), (None, 0), how + ": no talk with the agent")
    t.same(w.number("SELECT count(*) FROM follow_up_tasks WHERE reason_key = 'handoff_callback' AND status = 'pending'"), 1, how + ": a callback task")
    ends = {(e["leg"], e["event"]): e for e in w.truth()}
    agent, lead = ends[("agent", "hangup")], ends[("lead", "hangup")]
    t.ok(lead["source"] == "Answer XML" and moment(lead) - moment(agent) > 1, how + ": our words to the lead came after the agent", [agent, lead])
    again = repeat_action(w)
    t.ok(again.status == 200 and b"<Speak" in again.body and APOLOGY.encode() in again.body, how + ": and were the apology", again)
    free_agent(t, w, how)


def sign_again(url, expires):
    """The address as it would be signed for another end of its life."""
    parts = urllib.parse.urlsplit(url)
    query = dict(urllib.parse.parse_qsl(parts.query))
    key = hmac.new(world.SECRET.encode(), b"dialwright recording v1", hashlib.sha256).digest()
    text = "%s|%s|%d" % (query["org"], parts.path.rsplit("/", 1)[1], expires)
    query.update(exp=str(expires), sig=hmac.new(key, text.encode(), hashlib.sha256).hexdigest()[:32])
    return urllib.parse.urlunsplit(parts._replace(query=urllib.parse.urlencode(query)))


def bent(url, old, new):
    assert old in url
    return url.replace(old, new, 1)


def addresses(t, url, other):
    """One recording's address, and what is left of it when something is changed."""
    good = wire.get(url)
    size = len(good.body)
    t.same((good.status, good.headers.get("content-type"), good.body[:4]), (200, "audio/wav", b"RIFF"), "a recording is served")
    t.ok("no-store" in good.headers.get("cache-control", ""), "and not kept on the way", good.headers)
    part = wire.get(url, {"Range": "bytes=100-199"})
    t.same((part.status, part.headers.get("content-range"), part.body), (206, "bytes 100-199/%d" % size, good.body[100:200]), "a range of it")
    last = wire.get(url, {"Range": "bytes=-50"})
    t.same((last.status, last.body), (206, good.body[-50:]), "its last bytes")
    t.same(wire.get(url, {"Range": "bytes=%d-" % size}).status, 416, "a range behind its end")
    head = wire.request("HEAD", url)
    t.ok(head.status in (200, 405) and head.body == b"", "HEAD gives no body", head.status)
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))
    path = urllib.parse.urlsplit(url).path
    soon = int(time.time()) + 60
    t.same(wire.get(sign_again(url, soon)).status, 200, "signed for another time it is good: what follows is what is tested")
    rows = [
        ("expired", sign_again(url, int(time.time()) - 1)),
        ("a later expiry", bent(url, "exp=" + query["exp"], "exp=%d" % (int(query["exp"]) + 1))),
        ("another signature", bent(url, query["sig"], "0" * 32)),
        ("a signature cut short", bent(url, query["sig"], query["sig"][:-2])),
        ("another tenant", bent(url, query["org"], "00000000-0000-4000-8000-000000000000")),
        ("another recording", bent(url, path, urllib.parse.urlsplit(other).path)),
        ("no signature", bent(url, "&sig=" + query["sig"], "")),
        ("no query", url.split("?")[0]),
        ("a path outside", bent(url, path, "/recordings/..%2f..%2fetc%2fpasswd"))]
    for name, address in rows:
        t.same(wire.get(address).status, 403, "a recording's address: " + name)


with report.Report("handoff") as t:
    worlds = {}

    def make(how):
        worlds[how] = one_call({how: 1})

    threads = [threading.Thread(target=make, args=(how,)) for how in ("accept", "decline", "no_answer")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    t.same(len(worlds), 3, "three worlds")
    for one in worlds.values():
        one.wait_settled(100)
    w = worlds["accept"]
    accepted(t, w)
    not_taken(t, worlds["decline"], "declined", "declined")
    not_taken(t, worlds["no_answer"], "not answered", "no_answer")
    world.until(lambda: w.number("SELECT count(*) FROM recordings WHERE status = 'ready'") == 2, 40, lambda: str(w.rows("SELECT * FROM recordings")))
    files = {r["leg"]: r["url"] for r in w.rows("SELECT leg, url FROM recordings")}
    t.same(sorted(files), ["agent", "ai"], "the AI's part and the agent's are on file")
    t.same(the_call(w)["recording_url"], files["ai"], "the call's recording_url is the AI's part")
    t.same(row(w, "SELECT recording_url FROM agent_calls")["recording_url"], files["agent"], "the agent's call has its own")
    addresses(t, files["ai"], files["agent"])
    t.same(wire.get(files["agent"]).body[:4], b"RIFF", "the agent's recording is served")
    for how, w in worlds.items():
        w.check_dials(t)
        w.check_ground_truth(t)
        w.check_processes(t)
        w.stop_daemons(t)
        w.end()
