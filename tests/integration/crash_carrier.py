"""crash_carrier.py -- a carrier that does to each number what its story has planned, and keeps the truth of it.

    carrier.plan["+61412000001"] = ["503", "take"]   # its first POST, its second; then "take"

It never lies but about the numbers in `denied`; its records are honest, half a second late. `dials` is the truth: for each
number the calls that were taken. What a plan's word does stands at the method of that name.
"""
import time
import threading
import urllib.parse
import uuid

import wire
import world

CDR_LAG_S = 0.5
PATIENCE_S = 60


class Cut(Exception):
    """The connection ends here, without an answer."""


class Carrier(wire.Carrier):
    def __init__(self, auth_id):
        super().__init__(auth_id)
        self.server.handle_error = lambda *_: None  # a cut is no error
        self.plan = {}
        self.dials = {}
        self.posts = {}
        self.calls_of = {}
        self.denied = set()  # numbers that no list shows
        self.silent = set()  # numbers about which the lists answer 503
        self.asked_for = {}  # numbers -> how often the lists were asked
        self.on_list = None  # called with the number before a list of it is answered
        self.daemon = None   # whom "kill" and "stop" mean
        self.held = threading.Event()
        self.release = threading.Event()

    # --- a POST -------------------------------------------------------------------------------------

    def on_post(self, asked):
        number = "+" + asked["to"].lstrip("+")
        with self.lock:
            self.posts[number] = self.posts.get(number, 0) + 1
            words = self.plan.get(number)
            word = words.pop(0) if words else "take"
        return getattr(self, "do_" + word)(asked, number)

    def taken(self, asked, number):
        call = dict(asked, call_uuid=str(uuid.uuid4()), request_uuid=str(uuid.uuid4()), number=number, at=time.time())
        with self.lock:
            self.dials.setdefault(number, []).append(call)
            self.calls_of[number] = call
        return call

    @staticmethod
    def yes(call):
        return 201, {"message": "call fired", "request_uuid": call["request_uuid"], "api_id": str(uuid.uuid4())}

    def do_take(self, asked, number):
        """201, and in a moment a hang-up webhook: busy."""
        call = self.taken(asked, number)
        threading.Timer(0.3, self.hang_up, [call]).start()
        return self.yes(call)

    def do_quiet(self, asked, number):
        """201, and no webhook ever."""
        return self.yes(self.taken(asked, number))

    def do_502_dialed(self, asked, number):
        self.taken(asked, number)
        return 502, {"error": "bad gateway"}

    def do_503(self, _asked, _number):
        return 503, {"error": "unavailable"}

    def do_400(self, _asked, _number):
        return 400, {"error": "answer_url is invalid"}

    def do_cut_dialed(self, asked, number):
        self.taken(asked, number)
        raise Cut

    def do_kill(self, _asked, _number):
        """The daemon dies while its request is on the way, and nobody is phoned."""
        self.daemon.kill()
        raise Cut

    def do_201_unread(self, asked, number):
        """The daemon stands still, gets its 201, and dies without having read it."""
        self.daemon.stop()
        threading.Timer(0.3, self.daemon.kill).start()
        return self.yes(self.taken(asked, number))

    def do_hold(self, asked, number):
        """Takes the call and answers when the story says so."""
        call = self.taken(asked, number)
        self.held.set()
        self.release.wait(PATIENCE_S)
        self.held.clear()
        return self.yes(call)

    @staticmethod
    def hook(call):
        """The reports of a call go to the daemon that asked for it: its address is in what it asked."""
        return wire.Call(call, world.SECRET, world.AUTH_TOKEN, call["answer_url"].split("/carrier/")[0])

    def hang_up(self, call):
        for _ in range(100):  # as a carrier with a policy that outlasts any restart of ours
            try:
                if wire.post(self.hook(call).hangup(seconds=0, code=3010, cause="Busy Line", status="busy")).status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.3)

    # --- the lists ----------------------------------------------------------------------------------

    def on_get(self, parts):
        query = dict(urllib.parse.parse_qsl(parts.query))
        number = "+" + query.get("to_number", "").lstrip("+ ")
        if "status" in query:
            if number in self.silent:
                return 503, {"error": "later"}
            return 200, {"api_id": str(uuid.uuid4()), "calls": []}
        if "limit" not in query and "to_number" not in query:
            return super().on_get(parts)
        if self.on_list is not None:
            self.on_list(number)
        self.asked_for[number] = self.asked_for.get(number, 0) + 1
        if number in self.silent:
            return 503, {"error": "later"}
        with self.lock:
            known = [c for n, calls in self.dials.items() for c in calls
                     if n not in self.denied and time.time() > c["at"] + CDR_LAG_S and n.startswith(number)]
        begin = int(query.get("offset", 0))
        page = known[begin:begin + int(query.get("limit", 20))]
        return 200, {"api_id": str(uuid.uuid4()), "objects": [self.record(c) for c in page], "meta": {
            "limit": int(query.get("limit", 20)), "offset": begin, "total_count": len(known), "next": None, "previous": None}}

    @staticmethod
    def record(call):
        began = time.strftime("%Y-%m-%d %H:%M:%S+00:00", time.gmtime(call["at"]))
        return {"call_uuid": call["call_uuid"], "call_direction": "outbound", "from_number": call["from"].lstrip("+"),
                "to_number": call["to"].lstrip("+"), "initiation_time": began, "answer_time": None, "end_time": began,
                "call_duration": 0, "bill_duration": 0, "total_amount": "0.00000", "hangup_cause_code": 3010,
                "hangup_cause_name": "Busy Line", "hangup_source": "Callee", "parent_call_uuid": None}
