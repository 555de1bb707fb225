"""forgeries.py -- webhooks that nobody sent, by the hundred thousand: made as bytes, sent over connections that are kept.

A class is a function of the dice that gives the bytes of one request and the codes that may answer it. What the
carrier really sent is in `sent` (wire.Hook); everything here is made of it, or of nothing.
"""
import concurrent.futures
import hashlib
import random
import re
import socket
import threading
import time
import urllib.parse

import wire

BODY = "application/x-www-form-urlencoded"
REFUSED = (403,)
DEPTH = 8  # requests on the way at once, on one connection
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.I)


def raw(method, target, host, headers, body):
    """Body and target may be bytes that no library would send."""
    body = body if isinstance(body, bytes) else body.encode()
    lines = [b"%s %s HTTP/1.1" % (method.encode(), target if isinstance(target, bytes) else target.encode()), b"Host: " + host.encode()]
    lines += [k.encode() + b": " + (v if isinstance(v, bytes) else v.encode()) for k, v in headers.items()]
    lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


class Maker:
    def __init__(self, seed, sent, calls, other_calls, secret, token, other_token):
        self.dice = random.Random(seed)
        self.sent = sent
        self.calls = calls
        self.others = other_calls
        self.secret = secret
        self.token = token
        self.other_token = other_token
        self.netloc = urllib.parse.urlsplit(calls[0].base).netloc

    # --- parts ----------------------------------------------------------------------------------

    def post(self, url, body, headers, method="POST", host=None):
        parts = urllib.parse.urlsplit(url)
        target = parts.path + ("?" + parts.query if parts.query else "")
        return raw(method, target, host or self.netloc, headers, body)

    def fields(self, call):
        return list(call.fields("Hangup", "completed", HangupCauseCode=4000, Duration=self.dice.randrange(1, 9999)).items())

    def url(self, call, kind="hangup", who=None, secret=None):
        return "%s/carrier/plivo/%s/%s" % (call.base, kind, wire.identity_text(secret or self.secret, kind, who or call.who))

    def signed(self, url, fields, token=None, **change):
        headers = wire.signed(token if token is not None else self.token, url, fields, "%020x" % self.dice.getrandbits(80))
        headers.update(change)
        return {k: v for k, v in headers.items() if v is not None}

    def whole(self, url, call, token=None, **change):
        fields = self.fields(call)
        return self.post(url, urllib.parse.urlencode(fields), self.signed(url, fields, token, **change))

    def call(self):
        return self.dice.choice(self.calls)

    def spoilt(self, text, alphabet="0123456789abcdef"):
        at = self.dice.randrange(len(text))
        return text[:at] + self.dice.choice([c for c in alphabet if c != text[at]]) + text[at + 1:]

    # --- classes --------------------------------------------------------------------------------

    def bad_mac(self):
        call = self.call()
        head, text = self.url(call).rsplit(".", 1)
        return self.whole(head + "." + self.spoilt(text), call), REFUSED

    def bad_identity(self):
        call = self.call()
        head, text = self.url(call).rsplit("/", 1)
        return self.whole(head + "/" + self.spoilt(text), call), REFUSED

    def another_kinds_mac(self):
        call = self.call()
        kinds = ["ring", "answer", "hangup", "machine", "recording", "stream", "after", "agent-whisper"]
        own, other = self.dice.sample(kinds, 2)
        return self.whole(self.url(call, own).replace("/%s/" % own, "/%s/" % other), call), REFUSED

    def expired(self):
        call = self.call()
        who = call.who._replace(expires=int(time.time()) - self.dice.randrange(1, 10 ** 6))
        return self.whole(self.url(call, who=who), call), REFUSED

    def another_tenants_identity(self):
        """A true address of the other tenant, signed by this tenant's carrier account; and the other way round."""
        call, token = (self.dice.choice(self.others), self.token) if self.dice.random() < 0.5 else (self.call(), self.other_token)
        return self.whole(self.url(call), call, token), REFUSED

    def tenant_swapped_in_the_identity(self):
        call = self.call()
        return self.whole(self.url(call, who=call.who._replace(org=self.others[0].who.org)), call), REFUSED

    def another_attempt(self):
        call, other = self.dice.sample(self.calls, 2)
        mac = self.url(call).rsplit(".", 1)[1]
        return self.whole(self.url(other).rsplit(".", 1)[0] + "." + mac, other), REFUSED

    def another_number(self):
        call = self.call()
        return self.whole(self.url(call).replace(".%d." % call.who.number, ".%d." % (call.who.number + 1 + self.dice.randrange(9)), 1), call), REFUSED

    def another_secret(self):
        call = self.call()
        return self.whole(self.url(call, secret="a secret that is not ours, long enough %d" % self.dice.getrandbits(30)), call), REFUSED

    def truncated(self):
        call, fields = self.call(), None
        fields = self.fields(call)
        url = self.url(call)
        body = urllib.parse.urlencode(fields)
        return self.post(url, body[:self.dice.randrange(len(body))], self.signed(url, fields)), REFUSED

    def oversized(self):
        call = self.call()
        url = self.url(call)
        fields = self.fields(call) + [("Pad", "x" * (65 * 1024))]
        return self.post(url, urllib.parse.urlencode(fields), self.signed(url, fields)), (413,)

    def contradictory(self):
        """Signed by the true token, so it passes the wall; it says two things at once."""
        call, other = self.dice.sample(self.calls, 2)
        url = self.url(call)
        fields = self.fields(call) + [self.dice.choice([("CallUUID", other.uuid), ("CallStatus", "busy"), ("Event", "Ring"), ("Duration", "1")])]
        if fields[-1][1] in [v for k, v in fields[:-1] if k == fields[-1][0]]:
            fields[-1] = (fields[-1][0], "x" + fields[-1][1])
        return self.post(url, urllib.parse.urlencode(fields), self.signed(url, fields)), (400,)

    def a_field_added_twice(self):
        """Duplicated on the way, behind the signature."""
        hook = self.dice.choice(self.sent)
        return self.post(hook.url, hook.body + "&" + self.dice.choice(hook.body.split("&")), hook.headers), REFUSED

    def wrong_version(self):
        call = self.call()
        url = self.url(call)
        fields = self.fields(call)
        good = self.signed(url, fields)
        mac, nonce = good["X-Plivo-Signature-V3"], good["X-Plivo-Signature-V3-Nonce"]
        name = self.dice.choice(["X-Plivo-Signature-V2", "X-Plivo-Signature", "X-Plivo-Signature-V4", "X-Plivo-Signature-V3-"])
        return self.post(url, urllib.parse.urlencode(fields), {"Content-Type": BODY, name: mac, name + "-Nonce": nonce}), REFUSED

    def no_nonce(self):
        call = self.call()
        return self.whole(self.url(call), call, **{"X-Plivo-Signature-V3-Nonce": None}), REFUSED

    def another_nonce(self):
        hook = self.dice.choice(self.sent)
        return self.post(hook.url, hook.body, dict(hook.headers, **{"X-Plivo-Signature-V3-Nonce": "%020x" % self.dice.getrandbits(80)})), REFUSED

    def unsigned(self):
        hook = self.dice.choice(self.sent)
        return self.post(hook.url, hook.body, {"Content-Type": BODY}), REFUSED

    def swapped_token(self):
        call = self.call()
        return self.whole(self.url(call), call, self.dice.choice([self.other_token, "", self.token[:-1], self.token + "x", self.token.upper()])), REFUSED

    def bad_signature(self):
        hook = self.dice.choice(self.sent)
        mac = hook.headers["X-Plivo-Signature-V3"]
        forged = self.dice.choice([self.spoilt(mac[:42], "ABCabc012") + mac[42:], mac[:-1], mac * 2, ",".join([mac[::-1]] * 9), mac.swapcase(), "=" * 44, "A" * 43 + "="])
        return self.post(hook.url, hook.body, dict(hook.headers, **{"X-Plivo-Signature-V3": forged})), REFUSED

    def replay(self):
        hook = self.dice.choice(self.sent)
        return self.post(hook.url, hook.body, hook.headers), (200,)

    def replay_altered(self):
        hook = self.dice.choice(self.sent)
        at = self.dice.randrange(len(hook.body))
        body = hook.body[:at] + ("x" if hook.body[at] != "x" else "y") + hook.body[at + 1:]
        return self.post(hook.url, body, hook.headers), REFUSED

    def replay_elsewhere(self):
        """A true webhook, posted to another true address."""
        hook, other = self.dice.sample(self.sent, 2)
        while hook.url == other.url:
            other = self.dice.choice(self.sent)
        return self.post(other.url, hook.body, hook.headers), REFUSED

    def replay_with_a_query(self):
        hook = self.dice.choice(self.sent)
        return self.post(hook.url + self.dice.choice(["?x=1", "?CallStatus=busy", "?%00", "?" + "a" * 100]), hook.body, hook.headers), REFUSED

    def method(self):
        hook = self.dice.choice(self.sent)
        name = self.dice.choice(["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
        return self.post(hook.url, hook.body, hook.headers, name), (404, 405)

    def host(self):
        """Signed for the host that the request names; we know our own name."""
        call = self.call()
        fields = self.fields(call)
        url = self.url(call)
        evil = url.replace(self.netloc, "evil.example")
        headers = self.signed(evil, fields, **{"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "Forwarded": "host=evil.example"})
        return self.post(url, urllib.parse.urlencode(fields), headers, host="evil.example"), REFUSED

    def traversal(self):
        call = self.call()
        text = self.url(call).rsplit("/", 1)[1]
        path = self.dice.choice(["/carrier/plivo/hangup/../hangup/%s", "/carrier/plivo/hangup/%%2e%%2e/%s", "/carrier/plivo//hangup/%s", "/carrier/../metrics/%s",
                                 "/carrier/plivo/hangup/%s/../../../metrics", "/carrier/plivo/hangup/..%%2f%s", "/carrier/plivo/hangup\\%s", "/carrier/plivo/hangup/./%s"]) % text
        fields = self.fields(call)
        return self.post("http://" + self.netloc + path, urllib.parse.urlencode(fields), self.signed("http://" + self.netloc + path, fields)), (400, 403, 404)

    def junk(self):
        call = self.call()
        url = self.url(call)
        body = bytes(self.dice.randrange(256) for _ in range(self.dice.randrange(1, 200)))
        return self.post(url, body, self.signed(url, self.fields(call))), REFUSED

    def signed_junk(self):
        """NUL, half characters, controls: signed over what they would decode to."""
        call = self.call()
        url = self.url(call)
        fields = self.fields(call) + [("Note", self.dice.choice(["a\0b", "\x01", "\u202e", "\ufeff" * 3]))]
        value = self.dice.choice(["%ff%fe", "%c3%28", "%00", "%zz", "%e0%80%af"])
        return self.post(url, urllib.parse.urlencode(fields[:-1]) + "&Note=" + value, self.signed(url, fields)), REFUSED

    def other_type(self):
        hook = self.dice.choice(self.sent)
        return self.post(hook.url, '{"CallUUID":"x"}', dict(hook.headers, **{"Content-Type": self.dice.choice(["application/json", "text/xml", "multipart/form-data"])})), REFUSED

    def unknown(self):
        """An identity that was never given out, with a MAC that is right by accident of the secret: nobody has the row."""
        call = self.call()
        who = call.who._replace(org="%032x" % self.dice.getrandbits(128))
        return self.whole(self.url(call, who=who), call), REFUSED


# Sent by the hundred thousand, by weight. `contradictory` and `replay` pass the wall; `oversized` ends its connection.
WEIGHTS = {"replay": 5, "contradictory": 2, "oversized": 0, "unknown": 0}


def classes():
    hidden = {"post", "fields", "url", "signed", "whole", "call", "spoilt"}
    return [n for n in vars(Maker) if not n.startswith("_") and n not in hidden and callable(getattr(Maker, n))]


# --- sending ----------------------------------------------------------------------------------------------------------

class Pipe:
    """One connection that is kept; a few requests are on the way at a time."""

    def __init__(self, host):
        self.address = (host.split(":")[0], int(host.split(":")[1]))
        self.link = None
        self.rest = b""

    def open(self):
        if self.link is None:
            self.link = socket.create_connection(self.address, 20)
            self.link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.rest = b""

    def answer(self):
        while b"\r\n\r\n" not in self.rest:
            self.more()
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        size = LENGTH.search(head + b"\r\n")
        size = int(size.group(1)) if size else 0
        while len(self.rest) < size:
            self.more()
        body, self.rest = self.rest[:size], self.rest[size:]
        closes = b"connection: close" in head.lower()
        if closes:
            self.close()
        return int(STATUS.match(head).group(1)), body, closes

    def more(self):
        data = self.link.recv(262144)
        if not data:
            raise ConnectionResetError("closed")
        self.rest += data

    def close(self):
        if self.link is not None:
            self.link.close()
            self.link = None


def exchange(pipe, batch):
    """Sends a batch, gives its answers; a connection that was closed between is opened again for what is left."""
    got = []
    while len(got) < len(batch):
        pipe.open()
        left = batch[len(got):]
        pipe.link.sendall(b"".join(left))
        for _ in left:
            status, body, closes = pipe.answer()
            got.append((status, body))
            if closes:
                break
    return got


def flood(maker_of, count, threads, weights):
    """Returns ({class: sent}, [what was answered otherwise], seconds)."""
    names = list(weights)
    sent = {n: 0 for n in names}
    wrong = []
    lock = threading.Lock()

    def one(number):
        maker = maker_of(number)
        pipe = Pipe(maker.netloc)
        mine = {n: 0 for n in names}
        odd = []
        share = count // threads
        picks = maker.dice.choices(names, [weights[n] for n in names], k=share)
        for at in range(0, share, DEPTH):
            made = [(n,) + getattr(maker, n)() for n in picks[at:at + DEPTH]]
            for (name, request, codes), (status, body) in zip(made, exchange(pipe, [m[1] for m in made])):
                mine[name] += 1
                if status not in codes or b"<Stream" in body:
                    odd.append("%s: %s, not %s: %r" % (name, status, codes, request[:300]))
        pipe.close()
        with lock:
            wrong.extend(odd)
            for n in names:
                sent[n] += mine[n]

    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        list(pool.map(one, range(threads)))  # and raises what a thread has raised
    return sent, wrong, time.monotonic() - began


# --- rough ones: connections that are worth nothing afterwards -------------------------------------------------------------

def once(host, data, patience=5.0):
    """The code that came back on a connection of its own; 0 when it was closed without one."""
    with socket.create_connection((host.split(":")[0], int(host.split(":")[1])), 5) as link:
        link.settimeout(patience)
        try:
            link.sendall(data)
            text = b""
            while b"\r\n" not in text:
                more = link.recv(65536)
                if not more:
                    break
                text += more
        except (ConnectionError, socket.timeout):
            text = b""
    match = STATUS.match(text)
    return int(match.group(1)) if match else 0


def rough(maker):
    """(name, bytes, codes): heads that no library writes."""
    hook = maker.sent[0]
    target = urllib.parse.urlsplit(hook.url).path.encode()
    body = hook.body.encode()
    sign = "\r\n".join("%s: %s" % p for p in hook.headers.items()).encode()
    head = b"POST " + target + b" HTTP/1.1\r\nHost: x\r\n" + sign + b"\r\n"
    size = b"Content-Length: %d\r\n" % len(body)
    return [
        ("100 headers", head + b"".join(b"X-%d: y\r\n" % i for i in range(100)) + size + b"\r\n" + body, (400, 431, 0)),
        ("a header of 20 KiB", head + b"X: " + b"y" * 20480 + b"\r\n" + size + b"\r\n" + body, (400, 413, 431, 0)),
        ("a path of 20 KiB", b"POST /carrier/plivo/hangup/" + b"a" * 20480 + b" HTTP/1.1\r\nHost: x\r\n" + size + b"\r\n" + body, (400, 403, 414, 431, 0)),
        ("a NUL in the path", b"POST /carrier/plivo/hangup/\0 HTTP/1.1\r\nHost: x\r\n" + size + b"\r\n" + body, (400, 403, 404, 0)),
        ("bytes in the path", b"POST /carrier/plivo/hangup/\xff\xfe\x80 HTTP/1.1\r\nHost: x\r\n" + size + b"\r\n" + body, (400, 403, 404, 0)),
        ("a NUL in a header", head + b"X: a\0b\r\n" + size + b"\r\n" + body, (200, 400, 403, 0)),
        ("two lengths", head + size + b"Content-Length: 5\r\n\r\n" + body, (400, 403, 0)),
        ("a length below zero", head + b"Content-Length: -1\r\n\r\n" + body, (400, 413, 0)),
        ("a length beyond all numbers", head + b"Content-Length: 99999999999999999999999\r\n\r\n" + body, (400, 413, 0)),
        ("length and chunks", head + size + b"Transfer-Encoding: chunked\r\n\r\n5\r\nEvent\r\n0\r\n\r\n", (400, 403, 0)),
        ("chunks of nonsense", head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", (400, 403, 0)),
        ("chunks without an end", head + b"Transfer-Encoding: chunked\r\n\r\nfffffff\r\n" + b"x" * 70000, (400, 403, 413, 0)),
        ("a line folded", head + b"X: a\r\n b\r\n" + b"X-Plivo-Signature-V3:\r\n AAAA\r\n" + size + b"\r\n" + body, (200, 400, 403, 0)),
        ("two hosts", head + b"Host: evil.example\r\n" + size + b"\r\n" + body, (200, 400, 403, 0)),
        ("HTTP/9.9", head.replace(b"HTTP/1.1", b"HTTP/9.9") + size + b"\r\n" + body, (400, 403, 505, 0)),
        ("no HTTP at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), (400, 0)),
        ("an absolute target", head.replace(target, b"http://evil.example" + target) + size + b"\r\n" + body, (200, 400, 403, 404, 0)),
        ("an upgrade", head + b"Connection: Upgrade\r\nUpgrade: websocket\r\n" + size + b"\r\n" + body, (200, 400, 403, 0)),
        ("a method of a kilobyte", b"P" * 1024 + b" " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n", (400, 404, 405, 414, 431, 501, 0)),
    ]


def fingerprint(dump):
    digest = hashlib.sha256()
    for name in sorted(dump):
        digest.update(name.encode() + b"\n" + "\n".join(dump[name]).encode())
    return digest.hexdigest()
