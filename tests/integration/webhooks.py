#!/usr/bin/env python3
"""Webhooks that are forged, replayed, oversized or broken: the expected code, a count, and not one row changed."""
import concurrent.futures
import socket
import time
import urllib.parse

import forgeries
import report
import wire
import world

LEADS = 4
OTHERS = 2
FLOOD = 100000
THREADS = 4
OVERSIZED = 200
CUT_S = 20  # a head that drips is cut after ten seconds
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


def drip(daemon, head, seconds):
    """Slow-loris: a request that never comes to its end. Seconds until it was cut, or None."""
    began = time.monotonic()
    host = urllib.parse.urlsplit(daemon.url).netloc.split(":")
    with socket.create_connection((host[0], int(host[1])), 5) as link:
        link.settimeout(0.5)
        at = 0
        while time.monotonic() - began < seconds:
            try:
                link.sendall(head[at:at + 1] or b"x")
                at += 1
                if link.recv(4096) == b"":
                    return time.monotonic() - began
            except socket.timeout:
                continue
            except OSError:
                return time.monotonic() - began
    return None


def differences(before, after):
    for name in sorted(set(before) | set(after)):
        old, new = before.get(name, []), after.get(name, [])
        if old != new:
            yield "%s: gone %s, come %s" % (name, [r for r in old if r not in new][:2], [r for r in new if r not in old][:2])


def flood(t, w, daemon, before, material):
    """A hundred thousand that nobody sent, over connections that are kept; a fingerprint of every table before and after."""
    def maker(number):
        return forgeries.Maker(SEED + number, *material, world.SECRET, world.AUTH_TOKEN, TOKENS["other"])

    counted = {name: daemon.metric("webhooks_total", result=name) for name in ("forged", "expired", "duplicate", "broken", "too_large", "applied")}
    reasons = {name: daemon.metric("webhook_refusals_total", reason=name) for name in ("path", "expired", "body", "signature", "form")}
    head = b"POST /carrier/plivo/hangup/x HTTP/1.1\r\nHost: x\r\nX-Plivo-Signature-V3: " + b"A" * 200
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        drips = [pool.submit(drip, daemon, h, CUT_S) for h in (head, b"POST /carr", b"")]
        weights = {n: forgeries.WEIGHTS.get(n, 3) for n in forgeries.classes()}
        sent, wrong, seconds = forgeries.flood(maker, FLOOD, THREADS, weights)
        # Ends its connection each time, or asks the database for a tenant that is not there: fewer of these.
        for name, count in (("oversized", OVERSIZED), ("unknown", OVERSIZED)):
            more, odd, took = forgeries.flood(maker, count, 1, {name: 1})
            sent[name] += more[name]
            wrong += odd
            seconds += took
        drips = [d.result() for d in drips]
    total = sum(sent.values())
    t.note("%d forged and replayed webhooks of %d classes in %.1f s, %.0f a second" % (total, len(sent), seconds, total / seconds))
    t.note(", ".join("%s %d" % pair for pair in sorted(sent.items())))
    t.none(wrong, "%d forged and replayed ones get their code" % total)
    t.ok(total >= FLOOD and all(sent.values()), "a hundred thousand, and some of each class", sent)
    t.none([d for d in drips if d is None], "requests that drip are cut (%s s)" % ", ".join("%.0f" % d for d in drips if d))
    one = maker(99)
    for name, request, codes in forgeries.rough(one):
        got = forgeries.once(one.netloc, request)
        t.ok(got in codes, name, "answered %s, not one of %s" % (got, codes))
    t.same(daemon.status("/healthz"), 200, "the daemon is well")
    t.none(differences(before, w.dump()), "%d changed no row" % total)
    t.note("fingerprint of all tables %s before, %s after" % (forgeries.fingerprint(before)[:16], forgeries.fingerprint(w.dump())[:16]))
    now = {name: daemon.metric("webhooks_total", result=name) - n for name, n in counted.items()}
    t.note("counted: " + ", ".join("%s %d" % pair for pair in sorted(now.items())))
    t.same(now["duplicate"] >= sent["replay"], True, "each replay is counted as one")
    t.same(now["applied"], 0, "none was taken for new")
    t.ok(now["expired"] == sent["expired"] and now["broken"] >= sent["contradictory"] and now["too_large"] >= sent["oversized"], "each kind is counted", now)
    now = {name: daemon.metric("webhook_refusals_total", reason=name) - n for name, n in reasons.items()}
    t.note("refused for: " + ", ".join("%s %d" % pair for pair in sorted(now.items())))
    refused = total - sent["replay"] - sent["method"] - sent["traversal"]
    t.ok(refused <= sum(now.values()), "each refusal is counted by its reason", "%d refused, %s" % (refused, now))


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
    w.setup([w.campaign("theirs", max_attempts=1, transfer="off")], organization="others", agents=False,
            auth={"auth_id": "MAOTHERS0000000000", "auth_token": TOKENS["other"]})
    w.import_leads(OTHERS, campaign="theirs", first=50, organization="others")
    w.start("theirs", organization="others")
    world.until(lambda: len(carrier.calls) == LEADS + OTHERS, 20, "the other tenant dials too")
    world.until(lambda: w.number("SELECT count(*) FROM call_logs WHERE status = 'dialing'") == OTHERS, 10, "and rings")
    others = [wire.Call(asked, world.SECRET, TOKENS["other"], daemon.url) for asked in carrier.calls[LEADS:]]
    world.until(lambda: w.settled_but(2 + OTHERS), 20, w.progress)
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
    flood(t, w, daemon, before, (sent, calls, others))
    t.same(daemon.metric("anomalies_total"), 0, "no anomaly")
    t.same(wire.post(calls[0].hangup(seconds=0, code=3010, cause="Busy Line", status="busy")).status, 200, "a true one is taken after all that")
    for call in others:
        wire.post(call.hangup(seconds=0, code=3010, cause="Busy Line", status="busy"))
    w.check_processes(t)
    w.stop_daemons(t)
carrier.close()
