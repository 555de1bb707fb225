#!/usr/bin/env python3
"""The media socket in hostile hands: bad tokens open nothing, bad frames end the call politely, the ledger is right."""
import json
import struct
import threading
import time

import report
import wire
import world

OTHER = "11111111-2222-4333-8444-555555555555"


# --- what is done to the socket of a call of one's own; each returns the close code --------------------

def broken_json(s, call):
    for _ in range(5):
        s.text('{"event":"media","media":{"payload":')
    return s.closes(5)


def broken_in_the_talk(s, call):
    s.start(call.uuid)
    for text in ('{', '[]', '{"event":7}', '"start"', 'null', '{"event":"media"}'):
        s.media()
        s.text(text)
    return s.closes(5)


def binary(s, call):
    s.start(call.uuid)
    s.frame(2, b"\0" * 160)
    return s.closes(5)


def binary_first(s, call):
    s.frame(2, b"\xff" * 160)
    return s.closes(5)


def wrong_call(s, call):
    s.start(OTHER)
    return s.closes(5)


def wrong_format(s, call):
    s.start(call.uuid, mediaFormat={"encoding": "audio/x-l16", "sampleRate": 16000})
    return s.closes(5)


def no_start(s, call):
    return s.closes(12)


def media_without_start(s, call):
    for _ in range(6):
        s.media()
    return s.closes(5)


def falls_silent(s, call):
    s.start(call.uuid)
    s.media()
    return s.closes(12)


def flood(s, call):
    s.start(call.uuid)
    try:
        for _ in range(4000):
            s.media()
    except OSError:
        pass
    return s.closes(5)


def huge(s, call):
    s.start(call.uuid)
    s.text('{"event":"media","media":{"payload":"' + "/" * 20000 + '"}}')
    return s.closes(5)


def claims_to_be_huge(s, call):
    s.start(call.uuid)
    s.link.sendall(bytes([0x81, 0x80 | 127]) + struct.pack("!Q", 2 ** 62) + b"\0\0\0\0" + b"x" * 1000)
    return s.closes(5)


def unmasked(s, call):
    s.start(call.uuid)
    s.link.sendall(bytes([0x81, 2]) + b"{}")
    return s.closes(5)


def in_crumbs(s, call):
    s.start(call.uuid)
    try:
        s.frame(1, b"{", final=False)
        for _ in range(40):
            s.frame(0, b" ", final=False)
    except OSError:
        pass
    return s.closes(5)


def compressed(s, call):
    s.start(call.uuid)
    s.link.sendall(bytes([0xC1, 0x80]) + b"\0\0\0\0")  # RSV1, which no extension of ours allows
    return s.closes(5)


def no_base64(s, call):
    s.start(call.uuid)
    for payload in ('a"b', "====", "abc", "%%%%", "ab\\ncd", "\u00e4\u00e4"):
        s.media(payload)
    return s.closes(5)


def started_over(s, call):
    for _ in range(7):
        s.start(call.uuid)
    return s.closes(5)


def deep(s, call):
    s.start(call.uuid)
    for _ in range(6):
        s.text('{"a":' * 3000 + "1" + "}" * 3000)
    return s.closes(5)


def no_utf8(s, call):
    s.start(call.uuid)
    s.frame(1, b'{"event":"\xff\xfe"}')
    return s.closes(5)


def stop(s, call):
    s.start(call.uuid)
    s.media()
    s.text({"event": "stop", "streamId": "s"})
    return s.closes(5)


def cut(s, call):
    s.start(call.uuid)
    s.media()
    s.cut()
    return "cut"


def listens(s, call):
    """Hears the opening to its end and says so, as a carrier does."""
    s.start(call.uuid)
    s.link.settimeout(0.2)
    deadline = time.monotonic() + 30
    while w.value("SELECT disclosure_played_at FROM call_logs WHERE id = '%s'" % call.who.attempt) == "":
        if time.monotonic() > deadline:
            raise world.StoryError("the opening was not noted as heard")
        s.media()
        until = time.monotonic() + 1  # no longer than that without a frame of ours
        while time.monotonic() < until:
            got = s.read_patiently()
            if got is not None and b'"checkpoint"' in got[1]:
                s.text({"event": "playedStream", "streamId": "s", "name": json.loads(got[1])["name"]})


def nonsense_after_the_opening(s, call):
    listens(s, call)
    for _ in range(5):
        s.text("{")
    return s.closes(5)


def binary_after_the_opening(s, call):
    listens(s, call)
    s.frame(2, b"x")
    return s.closes(5)


# (what, how, the codes it may be closed with, whether somebody was left in the middle of a talk)
CASES = [
    ("broken JSON before the start", broken_json, {1008}, False),
    ("broken JSON in the talk", broken_in_the_talk, {1008}, False),
    ("a binary frame", binary, {1003}, False),
    ("a binary frame first", binary_first, {1003}, False),
    ("a start for another call", wrong_call, {1008}, False),
    ("a start in another format", wrong_format, {1008}, False),
    ("no start at all", no_start, {1000, 1001, 1008}, False),
    ("media without a start", media_without_start, {1008}, False),
    ("a stream that falls silent", falls_silent, {1000, 1001, 1008}, False),
    ("4000 frames at once", flood, {1008, 0}, False),
    ("a frame of 20 KiB", huge, {1009}, False),
    ("a frame that claims 2^62 bytes", claims_to_be_huge, {1009, 1002}, False),
    ("a frame without a mask", unmasked, {1002}, False),
    ("a message in 41 crumbs", in_crumbs, {1008, 1009, 1002}, False),
    ("a compressed frame", compressed, {1002}, False),
    ("payloads that are no base64", no_base64, {1008}, False),
    ("one start after the other", started_over, {1008}, False),
    ("JSON 3000 levels deep", deep, {1008, 1009}, False),
    ("text that is no UTF-8", no_utf8, {1007, 1002}, False),
    ("a stop", stop, {1000}, False),
    ("a reset", cut, {"cut"}, False),
    ("nonsense in the middle of a talk", nonsense_after_the_opening, {1008}, True),
    ("a binary frame in the middle of a talk", binary_after_the_opening, {1003}, True),
]
TOKENS = 5  # calls for the stories of tokens


def play(case, call, results):
    name, how, codes, _ = case
    try:
        wire.post(call.ring())
        answer = wire.post(call.answer())
        with_socket = wire.Socket(wire.media_url(answer.body))
        code = how(with_socket, call)
        after = wire.post(call.after())
        end = wire.post(call.hangup())
        results[name] = (code, after, end.status)
    except Exception as error:  # the main thread reports it
        results[name] = (repr(error), None, None)


def refused(url, headers=None):
    try:
        wire.Socket(url, headers).cut()
        return 101
    except wire.Refused as error:
        return error.status


def answered(call):
    wire.post(call.ring())
    return wire.media_url(wire.post(call.answer()).body)


def tokens(t, w, daemon, calls):
    base = daemon.url.replace("http:", "ws:") + "/media/"
    sessions = w.state()["model"]["sessions"]
    t.same(refused(base + "x" * 43), 403, "an unknown token")
    t.same(refused(base + "x" * 44), 403, "a token too long")
    t.same(refused(base + "x" * 42 + "-"), 403, "a token of other letters")
    t.same(wire.get(daemon.url + "/media/" + "x" * 43).status, 400, "no upgrade")
    reused = answered(calls[0])
    live = wire.Socket(reused)
    live.start(calls[0].uuid)
    t.same(refused(reused), 403, "a token beside its live stream")
    live.close()
    t.same(refused(reused), 403, "a token used before")
    expired = answered(calls[1])
    w.value("UPDATE media_tokens SET expires_at = now() - interval '1 second' WHERE used_at IS NULL")
    t.same(refused(expired), 403, "an expired token")
    forged = answered(calls[2])
    t.same(refused(forged, wire.signed("token-of-another-account", forged, [])), 403, "a good token with a forged signature")
    kept = wire.Socket(forged, wire.signed(world.AUTH_TOKEN, forged, []))
    kept.start(calls[2].uuid)
    t.same(w.number("SELECT count(*) FROM media_tokens k JOIN call_logs l ON l.id = k.call_log_id WHERE l.call_sid = '%s' AND k.used_at IS NOT NULL" % calls[2].uuid), 1,
           "the forgery has not burnt it: the carrier's own upgrade still opens")
    kept.close()
    signed = answered(calls[3])
    good = wire.Socket(signed, wire.signed(world.AUTH_TOKEN, signed, []))
    good.start(calls[4].uuid)  # the call of another token
    t.same(good.closes(5), 1008, "a token for another call")
    late = answered(calls[4])
    wire.post(calls[4].hangup())
    t.same(refused(late), 403, "a token of a call that is over")
    t.same(w.state()["model"]["sessions"], sessions, "no token that was refused opened a model session")
    t.ok(daemon.metric("media_tokens_total", result="refused") >= 7, "refusals are counted")
    for call in calls[:4]:
        wire.post(call.after())
        wire.post(call.hangup())


def ledger(t, w, daemon, calls):
    world.until(lambda: w.settled() and daemon.metric("calls_live") == 0, 40, w.progress)
    t.none(w.rows("SELECT id, status, disconnect_reason FROM call_logs WHERE status <> 'ended' OR answered_at IS NULL OR duration <> 3"),
           "each call has ended, as the carrier said")
    t.none(w.rows("SELECT call_log_id FROM call_attempts WHERE outcome IS DISTINCT FROM 'answered' OR settled_at IS NULL"), "each attempt is settled")
    t.none(w.rows("SELECT id, status FROM call_queue WHERE status <> 'completed' AND next_retry_at <= now()"), "nothing is left in the queue")
    t.same(w.number("SELECT count(*) FROM call_logs WHERE disclosure_played_at IS NOT NULL"), 2, "the two openings that were heard are noted, and no other")
    t.none(w.rows("SELECT call_log_id, body FROM call_turns WHERE speaker = 'lead'"), "no word of a lead is made up")
    t.same(daemon.metric("media_sockets"), 0, "no media socket is left")
    t.same(w.state()["model"]["live"], 0, "no model session is left")
    t.ok(w.state()["model"]["sessions"] <= len(calls), "at most one model session a call", w.state()["model"])
    t.ok(daemon.metric("media_bad_frames_total") > 20, "bad frames are counted", daemon.metric("media_bad_frames_total"))
    t.same(daemon.metric("call_phase_refused_total"), 0, "no talk made a move that does not exist")


carrier = wire.Carrier(world.AUTH_ID)
with report.Report("media socket") as t, world.World("media", carrier=carrier.url) as w:
    daemon = w.daemon(DIALWRIGHT_RECONCILE_INTERVAL_MS="600000", DIALWRIGHT_ANALYSIS_DELAY_MS="0").ready()
    w.setup([w.campaign(max_attempts=1, transfer="off", calls_per_second=50)], account={"calls_per_second": 50})
    w.import_leads(len(CASES) + TOKENS)
    w.start()
    world.until(lambda: len(carrier.calls) == len(CASES) + TOKENS, 30, "all leads are asked of the carrier")
    world.until(lambda: w.number("SELECT count(*) FROM call_logs WHERE status = 'dialing'") == len(CASES) + TOKENS, 10, "all are dialing")
    world.until(lambda: w.state()["model"]["live"] == len(CASES) + TOKENS, 20, "the models are warm")
    calls = [wire.Call(asked, world.SECRET, world.AUTH_TOKEN, daemon.url) for asked in carrier.calls]
    tokens(t, w, daemon, calls[:TOKENS])
    results = {}
    threads = [threading.Thread(target=play, args=(case, call, results)) for case, call in zip(CASES, calls[TOKENS:])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for name, _, codes, left in CASES:
        code, after, end = results.get(name, ("never came back", None, None))
        t.ok(code in codes, name, "closed with %r, not one of %r" % (code, codes))
        body = after.body.decode() if after else ""
        polite = "<Hangup" in body and (not left or "<Speak" in body)
        t.ok(after is not None and after.status == 200 and polite and end == 200, name + ": ends politely", "%s %s" % (after, end))
    ledger(t, w, daemon, calls)
    w.check_processes(t)
    w.stop_daemons(t)
carrier.close()
