#!/usr/bin/env python3
"""Phones the simulator's people through a bridge of 150 lines and checks what everybody heard.

    talk.py PATH/TO/dialwright-sim [--calls N] [--seed S] [--persona NAME] [--verbose] [--faults P]

A story test of the simulator alone: POST Call -> ring -> answer -> Stream -> talk -> hangup, with
real sockets, the script's tools, a transfer with a whispered briefing, and the ground truth.
"""
import argparse
import asyncio
import base64
import json
import os
import subprocess
import sys
import tempfile
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from wires import Server, basic, request, ws_connect  # noqa: E402

AUTH = ("MASIMULATEDACCOUNT00", "token-for-the-test")
DISCLOSURE = "Hello, this is an automated assistant calling for Example Phones. This call is recorded."
TEXT = {"type": "string"}


def tool(name, **props):
    return {"type": "function", "name": name, "description": name, "parameters": {
        "type": "object", "additionalProperties": False, "properties": props,
        "required": list(props)}}


TOOLS = [
    tool("transfer_to_human", reason=TEXT, summary=TEXT),
    tool("schedule_callback", when=TEXT),
    tool("mark_do_not_call", words=TEXT),
    tool("note_interest", level={"type": "string", "enum": ["high", "medium", "low", "none"]}),
    tool("end_call", reason={"type": "string", "enum": [
        "completed", "not_interested", "wrong_number", "voicemail", "callback", "do_not_call"]}),
]


def keys_of(value, path="", depth=2):
    """The members of an object, two levels deep, as dotted names."""
    keys = set()
    for k, v in value.items():
        keys.add(path + k)
        if isinstance(v, dict) and depth > 1:
            keys |= keys_of(v, path + k + ".", depth - 1)
    return keys


def documented(path):
    """type -> the members that every documented example of it has."""
    events = {}
    for entry in json.load(open(path))["server"].values():
        event = entry["event"]
        keys = keys_of(event)
        events[event["type"]] = events.get(event["type"], keys) & keys
    for kind in ("session.created", "session.updated"):
        events[kind] = {k for k in events[kind] if k.count(".") == 0} | {"session.audio"}
    return events


EVENTS = documented(os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                 "../../tests/data/realtime_events.json"))


class Call:
    def __init__(self, number):
        self.number = number
        self.events, self.tools, self.lead, self.ai = [], [], [], []
        self.hangup = None
        self.uuid = None
        self.transfer = False
        self.played = set()


class Bridge:
    def __init__(self, sim, verbose):
        self.sim, self.verbose = sim, verbose
        self.calls = {}
        self.broken = []
        self.hooks = Server(AUTH[1], self.on_hook, self.on_media)

    def url(self, kind, call, scheme="http"):
        return f"{scheme}://127.0.0.1:{self.hooks.port}/{kind}/{call.number[1:]}"

    async def place(self, call):
        self.calls[call.number[1:]] = call
        status, headers, body = await request("127.0.0.1", self.sim, "POST",
                                              f"/v1/Account/{AUTH[0]}/Call/", {
            "from": "+14155550100", "to": call.number,
            "answer_url": self.url("answer", call) + "#rc=5&rp=all",
            "ring_url": self.url("ring", call), "hangup_url": self.url("hangup", call),
            "machine_detection": "true", "machine_detection_url": self.url("machine", call),
            "ring_timeout": 30, "time_limit": 120}, basic(*AUTH))
        if status == 201:
            assert "date" in headers and json.loads(body)["message"] == "call fired", body
        return status

    async def on_hook(self, path, form):
        _, kind, number = path.split("/", 2)
        call = self.calls[number]
        call.events.append((kind, form))
        call.uuid = form["CallUUID"]
        if self.verbose:
            print(number, kind, form.get("Event"), form.get("CallStatus"),
                  form.get("HangupCauseName", ""), form.get("DialStatus", ""), file=sys.stderr)
        if kind == "answer":
            assert form["Event"] == "StartApp"
            return (f'<Response><Stream bidirectional="true" keepCallAlive="true" '
                    f'contentType="audio/x-mulaw;rate=8000">{self.url("media", call, "ws")}</Stream>'
                    f'<Redirect>{self.url("after", call)}</Redirect></Response>')
        if kind == "after" and call.transfer:
            return (f'<Response><Record recordSession="true" startOnDialAnswer="true" maxLength="600"'
                    f' redirect="false" callbackUrl="{self.url("recording", call)}"/>'
                    f'<Dial action="{self.url("action", call)}" callbackUrl="{self.url("dial", call)}" '
                    f'confirmSound="{self.url("whisper", call)}" confirmKey="1" timeout="20">'
                    f'<Number>+14155550199</Number></Dial></Response>')
        if kind == "whisper":
            return "<Response><Speak>A lead wants to book a demonstration. Press one.</Speak></Response>"
        if kind == "action" and form["DialStatus"] != "completed":
            return "<Response><Speak>Sorry, nobody is free. Goodbye.</Speak></Response>"
        if kind == "hangup":
            call.hangup = form
        return "<Response><Hangup/></Response>"

    async def on_media(self, path, carrier):
        call = self.calls[path.rsplit("/", 1)[1]]
        model = await ws_connect("127.0.0.1", self.sim, "/v1/realtime?model=gpt-realtime-2.1-mini",
                                 {"Authorization": "Bearer test"})
        await model.send({"type": "session.update", "session": {
            "type": "realtime", "output_modalities": ["audio"],
            "instructions": "You call Asha in Asia/Kolkata.", "tools": TOOLS,
            "audio": {"input": {"format": {"type": "audio/pcmu"},
                                "transcription": {"model": "gpt-transcribe"},
                                "turn_detection": {"type": "server_vad", "threshold": 0.6,
                                                   "silence_duration_ms": 500}},
                      "output": {"format": {"type": "audio/pcmu"}, "voice": "marin"}}}})
        talk = Talk(self, call, carrier, model)
        up = asyncio.create_task(talk.from_carrier())
        down = asyncio.create_task(talk.from_model())
        await asyncio.wait([up, down], return_when=asyncio.FIRST_COMPLETED)
        for task in (up, down):
            if task.done() and task.exception():
                self.broken.append(f"{call.number}: {task.exception()!r}")
            task.cancel()
        carrier.close()
        model.close()


class Talk:
    """One conversation: audio both ways, barge-in, tools."""

    def __init__(self, bridge, call, carrier, model):
        self.bridge, self.call, self.carrier, self.model = bridge, call, carrier, model
        self.stream = None
        self.ready = False
        self.opening = 0
        self.farewell = False

    async def from_carrier(self):
        while (m := await self.carrier.recv()) is not None:
            if m["event"] == "start":
                self.stream = m["start"]["streamId"]
                assert m["start"]["mediaFormat"]["encoding"] == "audio/x-mulaw"
            elif m["event"] == "media":
                if self.ready:
                    await self.model.send({"type": "input_audio_buffer.append",
                                           "audio": m["media"]["payload"]})
            elif m["event"] == "playedStream" and m["name"] == "bye":
                if self.call.transfer:
                    return
                status, _, _ = await request("127.0.0.1", self.bridge.sim, "DELETE",
                                             f"/v1/Account/{AUTH[0]}/Call/{self.call.uuid}/",
                                             headers=basic(*AUTH))
                assert status in (204, 404), status

    async def from_model(self):
        while (m := await self.model.recv()) is not None:
            missing = EVENTS.get(m["type"], {m["type"] + " is not a documented event"}) - keys_of(m)
            if m.get("item", {}).get("type", "message") != "message":
                missing = {k for k in missing if not k.startswith("item.")}
            assert not missing, (m["type"], missing)
            await self.on_model(m)

    async def on_model(self, m):
        kind = m["type"]
        if kind == "session.updated":
            while self.stream is None:
                await asyncio.sleep(0.01)
            self.ready = True
            await self.model.send({"type": "response.create", "response": {
                "instructions": "Word for word.\nSAY EXACTLY:\n" + DISCLOSURE, "tool_choice": "none"}})
        elif kind == "response.output_audio.delta":
            await self.carrier.send({"event": "playAudio", "media": {
                "contentType": "audio/x-mulaw", "sampleRate": 8000, "payload": m["delta"]}})
        elif kind == "response.output_audio_transcript.done":
            self.call.ai.append(m["transcript"])
        elif kind == "input_audio_buffer.speech_started":
            await self.carrier.send({"event": "clearAudio", "streamId": self.stream})
        elif kind.endswith("input_audio_transcription.completed"):
            self.call.lead.append(m["transcript"])
        elif kind == "response.output_item.done" and m["item"]["type"] == "function_call":
            await self.on_tool(m["item"])
        elif kind == "response.done":
            await self.on_done(m["response"])
        elif kind == "error":
            print("MODEL", self.call.number, m["error"], file=sys.stderr)

    async def on_tool(self, item):
        self.call.tools.append((item["name"], json.loads(item["arguments"])))
        await self.model.send({"type": "conversation.item.create", "item": {
            "type": "function_call_output", "call_id": item["call_id"], "output": '{"ok":true}'}})
        self.farewell |= item["name"] in ("end_call", "transfer_to_human")
        self.call.transfer |= item["name"] == "transfer_to_human"

    async def on_done(self, response):
        assert response["usage"]["total_tokens"] > 0
        names = [i["name"] for i in response["output"] if i["type"] == "function_call"]
        self.opening += 1
        if self.opening == 1:
            await self.model.send({"type": "response.create"})
        elif "schedule_callback" in names:
            await self.model.send({"type": "response.create"})
        if self.farewell:
            await self.carrier.send({"event": "checkpoint", "streamId": self.stream, "name": "bye"})


def numbers(sim_path, count, seed):
    out = subprocess.run([sim_path, "people", "--count", str(count), "--seed", str(seed)],
                         check=True, capture_output=True, text=True).stdout
    import csv
    import io
    good = {}
    for row in csv.DictReader(io.StringIO(out)):
        if row["phone"].startswith("+") and row["phone"][1:].isdigit():
            good[row["phone"]] = row
    return list(good)


async def until_over(port):
    """Waits until every accepted call has ended and its last callbacks are through."""
    for _ in range(150):
        await asyncio.sleep(1)
        _, _, text = await request("127.0.0.1", port, "GET", "/sim/state")
        carrier = json.loads(text)["carrier"]
        if carrier["ended"] == carrier["accepted"]:
            await asyncio.sleep(5)
            break
    _, _, text = await request("127.0.0.1", port, "GET", "/sim/state")
    return text


async def run(args):
    with tempfile.TemporaryDirectory(prefix="dialwright-talk-") as place:
        return await talk(args, place)


async def talk(args, place):
    truth = os.path.join(place, "ground_truth.jsonl")
    records = os.path.join(place, "records")
    os.mkdir(records)
    sim = subprocess.Popen([args.sim, "serve", "--listen", "127.0.0.1:0", "--auth-id", AUTH[0],
                            "--auth-token", AUTH[1], "--ground-truth", truth, "--records", records,
                            "--seed", str(args.seed), "--faults", args.faults],
                           stdout=subprocess.PIPE, text=True)
    try:
        port = urllib.parse.urlparse(json.loads(sim.stdout.readline())["listening"]).port
        bridge = Bridge(port, args.verbose)
        await bridge.hooks.start()
        calls = [Call(n) for n in numbers(args.sim, args.calls, args.seed)]
        for call in calls:
            # With faults a 429 may be this attempt's fate; without, the queue is full for a moment.
            while await bridge.place(call) == 429 and args.faults == "none":
                await asyncio.sleep(0.1)
        state = await until_over(port)
        _, _, cdr = await request("127.0.0.1", port, "GET",
                                  f"/v1/Account/{AUTH[0]}/Call/?limit=20&from_number=1415555", b"",
                                  basic(*AUTH))
    finally:
        sim.terminate()
        code = sim.wait(10)
    lines = [json.loads(line) for line in open(truth)]
    return calls, lines, json.loads(state), json.loads(cdr), code, bridge


def check(calls, lines, state, cdr, code, bridge, args):
    problems = []

    def expect(ok, what):
        if not ok:
            problems.append(what)

    persona = {x["to"]: x["persona"] for x in lines if x["event"] == "answered" and x["leg"] == "lead"}
    wanted = {"interested": "end_call", "wants_human": "transfer_to_human",
              "opts_out": "mark_do_not_call", "callback_at_time": "schedule_callback",
              "curious": "note_interest", "wrong_number": "end_call", "interrupts": "end_call",
              "price_objection": "end_call", "not_interested": "end_call", "voicemail": "end_call"}
    problems += bridge.broken if args.faults == "none" else []
    expect(code == 0, f"the simulator ended with {code}")
    expect(cdr["meta"]["total_count"] > 0 and len(cdr["objects"]) <= 20, "call records")
    for call in calls:
        who = persona.get(call.number)
        expect(call.hangup is not None or args.faults != "none",
               f"{call.number} {who}: no hangup")
        names = [n for n, _ in call.tools]
        if who in wanted and args.faults == "none":
            expect(wanted[who] in names, f"{call.number} {who}: tools {names} lead {call.lead} ai {call.ai}")
        if args.verbose:
            print(call.number, who, (call.hangup or {}).get("HangupCauseName"), call.tools,
                  *call.ai, "|", *call.lead, sep="\n    ", file=sys.stderr)
    ends = [x for x in lines if x["event"] == "hangup" and x["leg"] == "lead"]
    expect(len(ends) == state["carrier"]["accepted"], "every accepted call has one hangup")
    expect(len([x for x in lines if x["event"] == "accepted" and x["leg"] == "lead"]) == len(ends),
           "every accepted line has its hangup")
    lost = [x for x in lines if x["event"] == "webhook" and x["kind"] == "hangup" and x["how"] == "lost"]
    missing = [c for c in calls if c.hangup is None]
    expect(len(missing) <= len(lost) + state["carrier"]["refused"],
           f"{len(missing)} hangups missing, {len(lost)} lost")
    expect((bridge.hooks.forged > 0) == (args.faults != "none"), "forgeries")
    expect(state["carrier"]["forged_accepted"] == 0, "forged callbacks were taken")
    expect(state["carrier"]["bad_documents"] == 0, "documents were refused")
    return problems, persona


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("sim")
    parser.add_argument("--calls", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", default="none")
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    result = asyncio.run(run(args))
    problems, persona = check(*result, args)
    for p in problems:
        print("not ok:", p)
    kinds = {k: list(persona.values()).count(k) for k in sorted(set(persona.values()))}
    print(json.dumps({"calls": len(result[0]), "answered": kinds, "state": result[2]}))
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
