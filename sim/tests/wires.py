"""Just enough HTTP and WebSocket, on the standard library's asyncio, to be the simulator's customer.

Shares no code with the simulator or the product: a third reading of the same wire formats.
"""
import asyncio
import base64
import hashlib
import hmac
import json
import os
import struct
import urllib.parse

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Ws:
    """One WebSocket, text frames only, after its handshake."""

    def __init__(self, reader, writer, client):
        self.reader, self.writer, self.client = reader, writer, client

    async def send(self, obj):
        data = json.dumps(obj).encode()
        mask = 0x80 if self.client else 0
        if len(data) < 126:
            head = struct.pack("!BB", 0x81, mask | len(data))
        elif len(data) < 65536:
            head = struct.pack("!BBH", 0x81, mask | 126, len(data))
        else:
            head = struct.pack("!BBQ", 0x81, mask | 127, len(data))
        if self.client:
            key = os.urandom(4)
            pad = (key * (len(data) // 4 + 1))[: len(data)]
            data = (int.from_bytes(data, "big") ^ int.from_bytes(pad, "big")).to_bytes(
                len(data), "big")
            head += key
        self.writer.write(head + data)
        await self.writer.drain()

    async def recv(self):
        """The next text message as JSON; None when the other side closed."""
        text = b""
        while True:
            try:
                b0, b1 = await self.reader.readexactly(2)
                size = b1 & 0x7F
                if size == 126:
                    (size,) = struct.unpack("!H", await self.reader.readexactly(2))
                elif size == 127:
                    (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
                key = await self.reader.readexactly(4) if b1 & 0x80 else b"\0\0\0\0"
                data = await self.reader.readexactly(size)
            except (asyncio.IncompleteReadError, ConnectionError):
                return None
            pad = (key * (size // 4 + 1))[:size]
            if size:
                data = (int.from_bytes(data, "big") ^ int.from_bytes(pad, "big")).to_bytes(
                    size, "big")
            op = b0 & 0x0F
            if op == 8:
                return None
            if op in (0, 1):
                text += data
                if b0 & 0x80:
                    return json.loads(text)

    def close(self, code=1000):
        try:
            mask = 0x80 if self.client else 0
            head = struct.pack("!BB", 0x88, mask | 2) + (b"\0\0\0\0" if self.client else b"")
            self.writer.write(head + struct.pack("!H", code))
            self.writer.close()
        except ConnectionError:
            pass


async def ws_connect(host, port, path, headers):
    reader, writer = await asyncio.open_connection(host, port)
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}:{port}", "Upgrade: websocket",
             "Connection: Upgrade", f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13"]
    lines += [f"{k}: {v}" for k, v in headers.items()]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    status = await reader.readline()
    while (await reader.readline()).strip():
        pass
    if b"101" not in status:
        raise ConnectionError(status.decode().strip())
    return Ws(reader, writer, True)


async def request(host, port, method, path, body=b"", headers=None):
    """-> (status, headers, body), 0 when no answer came; body may be a dict, sent as JSON."""
    reader, writer = await asyncio.open_connection(host, port)
    headers = dict(headers or {})
    if isinstance(body, dict):
        body = json.dumps(body).encode()
        headers.setdefault("Content-Type", "application/json")
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}:{port}", "Connection: close",
             f"Content-Length: {len(body)}"] + [f"{k}: {v}" for k, v in headers.items()]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
    try:
        raw = await asyncio.wait_for(reader.read(), 3)
    except (asyncio.TimeoutError, ConnectionError):
        raw = b""
    writer.close()
    if not raw:
        return 0, {}, b""
    head, _, data = raw.partition(b"\r\n\r\n")
    first, *rest = head.decode().split("\r\n")
    got = {k.lower(): v for k, v in (r.split(": ", 1) for r in rest)}
    return int(first.split()[1]), got, data


def basic(auth_id, token):
    return {"Authorization": "Basic " + base64.b64encode(f"{auth_id}:{token}".encode()).decode()}


def v3(token, method, url, pairs, nonce):
    base, _, query = url.partition("?")
    asked = sorted(urllib.parse.parse_qsl(query, keep_blank_values=True))
    sent = sorted(pairs) if method == "POST" else []
    text = base + ("?" if asked or sent else "") + "&".join(f"{k}={v}" for k, v in asked)
    text += ("." if asked and sent else "") + "".join(k + v for k, v in sent) + "." + nonce
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha256).digest()).decode()


class Server:
    """The customer's side: callbacks with checked signatures, and media sockets."""

    def __init__(self, token, on_hook, on_media):
        self.token, self.on_hook, self.on_media = token, on_hook, on_media
        self.port = 0
        self.forged = 0
        self.refused = 0

    async def start(self):
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _serve(self, reader, writer):
        first = (await reader.readline()).decode().split()
        headers = {}
        while True:
            line = (await reader.readline()).decode().strip()
            if not line:
                break
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        if len(first) < 2:
            writer.close()
            return
        method, path = first[0], first[1]
        if headers.get("upgrade", "").lower() == "websocket":
            await self._upgrade(reader, writer, path, headers)
            return
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        pairs = urllib.parse.parse_qsl(body.decode(), keep_blank_values=True)
        nonce = headers.get("x-plivo-signature-v3-nonce", "")
        url = f"http://127.0.0.1:{self.port}{path}"
        good = nonce and v3(self.token, method, url, pairs, nonce) == headers.get(
            "x-plivo-signature-v3")
        status, answer = 403, ""
        if good:
            status, answer = 200, await self.on_hook(path, dict(pairs))
        else:
            self.forged += 1
        data = (answer or "").encode()
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Type: application/xml\r\nConnection: close\r\n"
                     f"Content-Length: {len(data)}\r\n\r\n".encode() + data)
        await writer.drain()
        writer.close()

    async def _upgrade(self, reader, writer, path, headers):
        url = f"ws://127.0.0.1:{self.port}{path}"
        nonce = headers.get("x-plivo-signature-v3-nonce", "")
        if v3(self.token, "GET", url, [], nonce) != headers.get("x-plivo-signature-v3"):
            self.refused += 1
            writer.close()
            return
        accept = base64.b64encode(
            hashlib.sha1((headers["sec-websocket-key"] + GUID).encode()).digest()).decode()
        writer.write(f"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode())
        await self.on_media(path, Ws(reader, writer, False))
