#!/usr/bin/env python3
"""Webhooks that are forged, replayed, oversized or broken: the expected code, a count, and not one row changed."""
import random
import threading
import time
import urllib.parse

import report
import wire
import world

LEADS = 4
FLOOD = 10000
TOKENS = {"other": "token-of-another-account"}
SEED = 20261122


def live_calls(w, carrier, daemon):
    world.until(lambda: len(carrier.calls) == LEADS, 20, "all leads are asked of the carrier")
    world.until(lambda: w.number("SELECT count(*) FROM call_logs WHERE status = 'dialing'") == LEADS, 10, "all are dialing")
    return [wire.Call(asked, world.SECRET, world.AUTH_TOKEN, daemon.url) for asked in carrier.calls]


def make_life(t, calls):
    """Calls in three states: one that rings, one that talks, two that are over. The hooks that made it so."""
    ringing, talking, over, refused = calls
    sent = [ringing.ring(), talking.ring(), talking.answer(), over.ring(), over.answer(), over.hangup(), refused.ring(),
            refused.hangup(seconds=0, code=3010, cause="Busy Line", status="busy")]
    t.none([(h.url.rsplit("/", 2)[1], a.status) for h, a in ((h, wire.post(h)) for h in sent) if a.status != 200],
           "the carrier's own webhooks are taken")
    return sent


def identity(call, **change):
    return call.who._replace(**change)


def table(calls):
    """(name, hook, code)"""
    ringing, talking, over, _ = calls
    good = talking.hangup()
    unsigned = {"Content-Type": good.headers["Content-Type"]}
    fields = list(talking.fields("Hangup", "completed", HangupCauseCode=4000, Duration=3).items())
    signature = good.headers["X-Plivo-Signature-V3"]
    nonce = good.headers["X-Plivo-Signature-V3-Nonce"]

    def bent(name, url):
        return (name, wire.hook(world.AUTH_TOKEN, url, fields), 403)

    def with_body(name, code, more, kind="hangup"):
        return (name, wire.hook(world.AUTH_TOKEN, talking.url(kind), fields + more), code)

    url = talking.url("hangup")
    text = url.rsplit("/", 1)[1]
    old = identity(talking, expires=int(time.time()) - 5)
    rows = [
        ("unsigned", good._replace(headers=unsigned), 403),
        ("an empty signature", good._replace(headers=dict(good.headers, **{"X-Plivo-Signature-V3": ""})), 403),
        ("a signature cut short", good._replace(headers=dict(good.headers, **{"X-Plivo-Signature-V3": signature[:-1]})), 403),
        ("another account's signature", wire.hook(TOKENS["other"], url, fields), 403),
        ("signed by the empty token", wire.hook("", url, fields), 403),
        ("no nonce", good._replace(headers={k: v for k, v in good.headers.items() if "Nonce" not in k}), 403),
        ("another nonce", good._replace(headers=dict(good.headers, **{"X-Plivo-Signature-V3-Nonce": nonce[::-1]})), 403),
        ("a field added", good._replace(body=good.body + "&Duration=86400"), 403),
        ("a field changed", good._replace(body=good.body.replace("Duration=3", "Duration=9")), 403),
        ("signed for a Host header", wire.hook(world.AUTH_TOKEN, url.replace(urllib.parse.urlsplit(url).netloc, "evil.example"),
                                               fields)._replace(url=url), 403),
        bent("a path of another kind", url.replace("/hangup/", "/ring/")),
        bent("a kind that is none", url.replace("/hangup/", "/delete/")),
        bent("another call's identity with this MAC", url.replace(text, over.url("hangup").rsplit("/", 1)[1][:32] + text[32:])),
        bent("another number of the attempt", url.replace(".%d." % talking.who.number, ".%d." % (talking.who.number + 1), 1)),
        bent("a later expiry", url.replace(".%d." % talking.who.expires, ".%d." % (talking.who.expires + 1))),
        bent("a MAC cut short", url[:-1]),
        bent("an identity in capitals", url.replace(text, text.upper())),
        bent("an empty identity", url.replace(text, "x")),
        bent("another secret's MAC", url.replace(text, wire.identity_text("another secret, long enough: 0123456789", "hangup",
                                                                          talking.who))),
        ("an expired identity", wire.hook(world.AUTH_TOKEN, talking.url("hangup", old), fields), 403),
        ("a body of 65 KiB", wire.hook(world.AUTH_TOKEN, url, fields + [("Pad", "x" * 66000)]), 413),
        ("a body of 1 MiB", wire.hook(world.AUTH_TOKEN, url, fields + [("Pad", "x" * 1048576)]), 413),
        with_body("contradictory fields", 400, [("CallUUID", over.uuid)]),
        with_body("contradictory status", 400, [("CallStatus", "busy")]),
        with_body("a body without the call", 400, [("CallUUID", "")]),
        with_body("an id that is none", 400, [("RequestUUID", "' OR 1=1 --")]),
        with_body("more fields than any form has", 403, [("F%d" % i, "") for i in range(200)]),
        with_body("a hang-up sent to the answer's address", 400, [], "answer"),
        with_body("a hang-up sent to the ring's address", 400, [], "ring"),
        ("a broken escape", good._replace(body=good.body + "&x=%zz"), 403),
        ("a NUL in a field", wire.hook(world.AUTH_TOKEN, url, fields + [("Note", "a\0b")]), 403),
        ("no body at all", wire.hook(world.AUTH_TOKEN, url, []), 400),
        ("JSON instead of a form", wire.Hook(url, '{"CallUUID":"x"}', dict(wire.signed(world.AUTH_TOKEN, url, [])))
         ._replace(headers=dict(good.headers, **{"Content-Type": "application/json"})), 403),
        ("another carrier", wire.hook(world.AUTH_TOKEN, url.replace("/plivo/", "/other/"), fields), 404),
    ]
    return rows


def twisted(rng, pool):
    """One of the forgeries, or a replay."""
    hook = rng.choice(pool)
    way = rng.randrange(5)
    if way == 0:
        return hook, 200  # as it was
    if way == 1:
        return hook._replace(headers={"Content-Type": hook.headers["Content-Type"]}), 403
    if way == 2:
        mac = list(hook.headers["X-Plivo-Signature-V3"])
        at = rng.randrange(42)
        mac[at] = "A" if mac[at] != "A" else "B"
        return hook._replace(headers=dict(hook.headers, **{"X-Plivo-Signature-V3": "".join(mac)})), 403
    if way == 3:
        at = rng.randrange(len(hook.body))
        other = "x" if hook.body[at] != "x" else "y"
        return hook._replace(body=hook.body[:at] + other + hook.body[at + 1:]), 403
    head, text = hook.url.rsplit("/", 1)
    at = rng.randrange(len(text))
    return hook._replace(url=head + "/" + text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1:]), 403


def flood(daemon, sent, count):
    """`count` quick ones over four connections; those whose code was not the expected one."""
    wrong = []

    def one(seed):
        rng = random.Random(seed)
        link = wire.connect(daemon.url)
        for _ in range(count // 4):
            hook, code = twisted(rng, sent)
            got = wire.post(hook, link).status
            if got != code:
                wrong.append("%s: %s, not %s" % (hook, got, code))
        link.close()

    threads = [threading.Thread(target=one, args=(SEED + i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong


def differences(before, after):
    for name in sorted(set(before) | set(after)):
        old, new = before.get(name, []), after.get(name, [])
        if old != new:
            yield "%s: gone %s, come %s" % (name, [r for r in old if r not in new][:2], [r for r in new if r not in old][:2])


carrier = wire.Carrier(world.AUTH_ID)
with report.Report("webhooks") as t, world.World("hooks", carrier=carrier.url) as w:
    t.note("seed %d" % SEED)
    # Nobody asks the carrier's lists while the story compares tables.
    daemon = w.daemon(DIALWRIGHT_RECONCILE_INTERVAL_MS="600000", DIALWRIGHT_ANALYSIS_DELAY_MS="0").ready()
    w.setup([w.campaign(retry_policy="quick", max_attempts=1)])
    w.import_leads(LEADS)
    w.start()
    calls = live_calls(w, carrier, daemon)
    sent = make_life(t, calls)
    url = wire.media_url(wire.post(calls[1].answer()).body)
    media = wire.Socket(url)
    media.start(calls[1].uuid)
    world.until(lambda: w.number("SELECT count(*) FROM media_tokens WHERE used_at IS NOT NULL") == 1, 5, "the stream is taken")
    media.cut()
    world.until(lambda: daemon.metric("calls_live") <= 1 and w.settled_but(2), 30, w.progress)
    before = w.calm_dump()
    total = 0
    for name, hook, code in table(calls):
        counted = daemon.metric("http_requests_total")
        got = wire.post(hook)
        t.same(got.status, code, name)
        total += 1
    refusals = {r: daemon.metric("webhooks_total", result=r) for r in ("forged", "expired", "too_large", "broken")}
    t.none([r for r, n in refusals.items() if n == 0], "each kind of refusal is counted")
    t.none(differences(before, w.dump()), "the table of forgeries changed no row")
    began = time.monotonic()
    for _ in range(3):
        for hook in sent:
            got = wire.post(hook)
            total += 1
            if got.status != 200 or wire.media_url(got.body):
                t.ok(False, "a replay is taken and does nothing", "%s\n%s" % (hook, got))
    t.none(differences(before, w.dump()), "each valid webhook, replayed three times, changed no row")
    forged = daemon.metric("webhooks_total", result="forged")
    duplicates = daemon.metric("webhooks_total", result="duplicate")
    t.none(flood(daemon, sent, FLOOD), "%d forged and replayed ones get their code" % FLOOD)
    t.note("%.0f a second" % (FLOOD / (time.monotonic() - began)))
    t.none(differences(before, w.dump()), "%d more changed no row" % FLOOD)
    t.ok(daemon.metric("webhooks_total", result="forged") - forged > FLOOD / 2, "forgeries are counted")
    t.ok(daemon.metric("webhooks_total", result="duplicate") - duplicates > FLOOD / 8, "repeats are counted")
    t.same(daemon.metric("anomalies_total"), 0, "no anomaly")
    t.same(wire.post(calls[0].hangup(seconds=0, code=3010, cause="Busy Line", status="busy")).status, 200, "a true one is taken after all that")
    w.check_processes(t)
    w.stop_daemons(t)
carrier.close()
