"""wire.py -- the carrier's side of the wires, by hand: signed webhooks, media sockets, a carrier that does nothing.

An implementation of its own, from the carrier's and our documents: it shares no code with the daemon
or with the simulator, so that a mistake of theirs is not repeated here.
"""
import base64
import collections
import hashlib
import hmac
import http.client
import http.server
import json
import os
import socket
import struct
import threading
import time
import urllib.parse
import uuid

Answer = collections.namedtuple("Answer", "status headers body")


# --- HTTP -------------------------------------------------------------------------------------------

def connect(url, timeout=15):
    parts = urllib.parse.urlsplit(url)
    return http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)


def request(method, url, body=None, headers=None, timeout=15, connection=None):
    parts = urllib.parse.urlsplit(url)
    target = parts.path + ("?" + parts.query if parts.query else "")
    link = connection or connect(url, timeout)
    try:
        link.request(method, target, body, headers or {})
        reply = link.getresponse()
        return Answer(reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read())
    finally:
        if connection is None:
            link.close()


def get(url, headers=None, timeout=15):
    return request("GET", url, None, headers, timeout)


# --- identities and signatures ------------------------------------------------------------------------

Identity = collections.namedtuple("Identity", "attempt org job number expires")


def identity_text(secret, kind, who):
    key = hmac.new(secret.encode(), b"dialwright callback v1", hashlib.sha256).digest()
    parts = [kind, who.attempt, who.org, who.job, str(who.number), str(who.expires)]
    mac = hmac.new(key, "|".join(parts).encode(), hashlib.sha256).hexdigest()[:32]
    return ".".join(parts[1:] + [mac])


def identity_of(url):
    parts = urllib.parse.urlsplit(url).path.rsplit("/", 1)[1].split(".")
    return Identity(parts[0], parts[1], parts[2], int(parts[3]), int(parts[4]))


def sign(token, url, fields, nonce):
    text = url
    if fields:
        text += "?" + "".join(k + v for k, v in sorted(fields))
    text += "." + nonce
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha256).digest()).decode()


def signed(token, url, fields, nonce=None):
    """Headers of one webhook."""
    nonce = nonce or uuid.uuid4().hex[:20]
    return {"Content-Type": "application/x-www-form-urlencoded", "X-Plivo-Signature-V3": sign(token, url, fields, nonce),
            "X-Plivo-Signature-V3-Nonce": nonce}


Hook = collections.namedtuple("Hook", "url body headers")


def hook(token, url, fields):
    """One signed webhook, ready to be posted, and posted again."""
    fields = list(fields.items()) if isinstance(fields, dict) else fields
    url = url.split("#")[0]
    return Hook(url, urllib.parse.urlencode(fields), signed(token, url, fields))


def post(what, connection=None):
    return request("POST", what.url, what.body, what.headers, connection=connection)


# --- a media socket -----------------------------------------------------------------------------------

class Refused(Exception):
    """The upgrade was answered by something else."""

    def __init__(self, status):
        super().__init__("upgrade answered %s" % status)
        self.status = status


class Socket:
    """The carrier's end of a WebSocket; reads with a deadline."""

    def __init__(self, url, headers=None, timeout=10):
        parts = urllib.parse.urlsplit(url)
        self.link = socket.create_connection((parts.hostname, parts.port), timeout)
        self.rest = b""
        self.code = None
        lines = ["GET %s HTTP/1.1" % parts.path, "Host: " + parts.netloc, "Upgrade: websocket", "Connection: Upgrade",
                 "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)).decode()]
        lines += ["%s: %s" % pair for pair in (headers or {}).items()]
        self.link.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        while b"\r\n\r\n" not in self.rest:
            data = self.link.recv(4096)
            if not data:
                raise Refused(0)
            self.rest += data
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        status = int(head.split(b" ", 2)[1])
        if status != 101:
            self.link.close()
            raise Refused(status)

    def frame(self, opcode, payload, final=True):
        mask = os.urandom(4)
        size = len(payload)
        head = bytes([(0x80 if final else 0) | opcode])
        if size < 126:
            head += bytes([0x80 | size])
        elif size < 65536:
            head += struct.pack("!BH", 0x80 | 126, size)
        else:
            head += struct.pack("!BQ", 0x80 | 127, size)
        key = (mask * (size // 4 + 1))[:size]
        body = (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big") if size else b""
        self.link.sendall(head + mask + body)

    def text(self, what):
        self.frame(1, (what if isinstance(what, str) else json.dumps(what)).encode())

    def start(self, call_uuid, stream="5e5e5e5e-0000-4000-8000-000000000001", **more):
        start = {"callId": call_uuid, "streamId": stream, "accountId": "MA", "tracks": ["inbound"],
                 "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000}}
        start.update(more)
        self.text({"event": "start", "sequenceNumber": 1, "start": start, "extra_headers": "{}"})

    def media(self, payload=None):
        payload = base64.b64encode(b"\xff" * 160).decode() if payload is None else payload
        self.text({"event": "media", "sequenceNumber": 2, "streamId": "s", "media": {
            "track": "inbound", "timestamp": "0", "chunk": 1, "payload": payload}, "extra_headers": "{}"})

    def take(self, size):
        while len(self.rest) < size:
            data = self.link.recv(65536)
            if not data:
                raise ConnectionResetError("closed")
            self.rest += data
        got, self.rest = self.rest[:size], self.rest[size:]
        return got

    def read(self):
        """(opcode, payload) of the next frame; None when the socket is over."""
        try:
            first, second = self.take(2)
            size = second & 127
            if size > 125:
                size = int.from_bytes(self.take(2 if size == 126 else 8), "big")
            payload = self.take(size)
        except (ConnectionError, OSError):
            return None
        if first & 15 == 8:
            self.code = struct.unpack("!H", payload[:2])[0] if len(payload) > 1 else 1005
        return first & 15, payload

    def closes(self, seconds):
        """The close code: 0 for a cut without one, None when it did not close in time."""
        deadline = time.monotonic() + seconds
        self.link.settimeout(0.5)
        while time.monotonic() < deadline:
            try:
                got = self.read_patiently()
            except (ConnectionError, OSError):
                return self.code or 0
            if got is None:
                continue
            if got[0] == 8:
                self.close()
                return self.code
        return None

    def read_patiently(self):
        """As read(), but None while nothing whole has come, and an error at the end."""
        kept = self.rest
        try:
            first, second = self.take(2)
            size = second & 127
            if size > 125:
                size = int.from_bytes(self.take(2 if size == 126 else 8), "big")
            payload = self.take(size)
        except socket.timeout:
            self.rest = kept + self.rest[len(kept):] if self.rest.startswith(kept) else kept + self.rest
            return None
        if first & 15 == 8:
            self.code = struct.unpack("!H", payload[:2])[0] if len(payload) > 1 else 1005
        return first & 15, payload

    def close(self, code=1000):
        try:
            self.frame(8, struct.pack("!H", code))
        except OSError:
            pass
        self.link.close()

    def cut(self):
        """Without a word: a reset."""
        self.link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.link.close()


# --- a carrier that takes every call and leaves the rest to the story -----------------------------------

class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128  # a burst of calls is one of connections: Python's five would let most of them wait


class Carrier:
    """POST Call is accepted and kept in `calls`; every list is empty. `reply` may answer instead:
    a function of the request that returns None, or (status, object)."""

    def __init__(self, auth_id, reply=None):
        carrier = self
        self.calls = []
        self.hangups = []
        self.lock = threading.Lock()
        self.reply = reply

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self, status, body):
                data = json.dumps(body).encode() if body is not None else b""
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_POST(self):
                text = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.answer(*carrier.on_post(json.loads(text)))

            def do_GET(self):
                self.answer(*carrier.on_get(urllib.parse.urlsplit(self.path)))

            def do_DELETE(self):
                carrier.hangups.append(self.path)
                self.answer(204, None)

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = "http://127.0.0.1:%d/v1" % self.server.server_address[1]
        self.auth_id = auth_id

    def on_post(self, asked):
        call = dict(asked, call_uuid=str(uuid.uuid4()), request_uuid=str(uuid.uuid4()))
        with self.lock:
            self.calls.append(call)
        return 201, {"message": "call fired", "request_uuid": call["request_uuid"], "api_id": str(uuid.uuid4())}

    @staticmethod
    def on_get(parts):
        query = dict(urllib.parse.parse_qsl(parts.query))
        if "status" in query:
            return 200, {"api_id": str(uuid.uuid4()), "calls": []}
        return 200, {"api_id": str(uuid.uuid4()), "objects": [], "meta": {
            "limit": int(query.get("limit", 20)), "offset": int(query.get("offset", 0)), "total_count": 0,
            "next": None, "previous": None}}

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Call:
    """One call of Carrier's, as its story tells it."""

    def __init__(self, asked, secret, token, base):
        self.asked = asked
        self.secret = secret
        self.token = token
        self.base = base
        self.uuid = asked["call_uuid"]
        self.who = identity_of(asked["answer_url"].split("#")[0])

    def url(self, kind, who=None):
        return "%s/carrier/plivo/%s/%s" % (self.base, kind, identity_text(self.secret, kind, who or self.who))

    def fields(self, event, status, **more):
        fields = {"CallUUID": self.uuid, "RequestUUID": self.asked["request_uuid"], "From": self.asked["from"],
                  "To": self.asked["to"], "Direction": "outbound", "Event": event, "CallStatus": status}
        fields.update({k: str(v) for k, v in more.items()})
        return fields

    def hook(self, kind, event, status, token=None, who=None, **more):
        return hook(token or self.token, self.url(kind, who), self.fields(event, status, **more))

    def ring(self):
        return self.hook("ring", "Ring", "ringing")

    def answer(self):
        return self.hook("answer", "StartApp", "in-progress")

    def after(self):
        return self.hook("after", "Redirect", "in-progress")

    def hangup(self, seconds=3, code=4000, cause="Normal Hangup", source="Callee", status="completed"):
        now = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
        then = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() - seconds))
        more = {"AnswerTime": then} if seconds else {}
        return self.hook("hangup", "Hangup", status, HangupCauseCode=code, HangupCauseName=cause, HangupCause="NORMAL_CLEARING",
                         HangupSource=source, Duration=seconds, BillDuration=seconds, TotalCost="0.00600", EndTime=now, **more)


def media_url(xml):
    """The stream's URL in an answer document, or None."""
    text = xml.decode()
    begin = text.find("ws://")
    return text[begin:text.find("<", begin)].strip() if begin >= 0 else None
