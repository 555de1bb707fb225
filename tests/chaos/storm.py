"""storm.py -- carries a plan out, act by act, and writes down what was done.

Acts do not wait: what has to follow later (start again, let run, empty the disk) is an act of its own, put
into the same queue. story() lines are for people; what the checker must know goes through Place.note().
"""
import heapq
import itertools
import os
import signal
import subprocess
import time
import uuid

import place as places
import wire
import world

LONG_SLACK_S = 3.0
HOUR = 3600
STEPS = (HOUR, -HOUR, HOUR, -HOUR, 20, -20, 7, -7)


class Storm:
    def __init__(self, place, plan, story, progress):
        self.place = place
        self.story_file = story
        self.progress = progress
        self.queue = []
        self.order = itertools.count()
        self.kills = {"daemon": 0, "postgres": 0}
        self.done = {}
        self.found = []  # what is wrong already, before the checker has looked
        self.postgres_up = True
        self.postgres_full = False
        self.organization = itertools.cycle(places.ORGANIZATIONS)
        self.began = time.monotonic()
        for act in plan:
            self.later(act.at, getattr(self, act.what), *act.dice)

    # --- the clockwork ----------------------------------------------------------------------------

    def now(self):
        return time.monotonic() - self.began

    def later(self, at, method, *arguments):
        heapq.heappush(self.queue, (at, next(self.order), method, arguments))

    def story(self, text):
        line = "%8.3f %s" % (self.now(), text)
        self.story_file.write(line + "\n")
        self.story_file.flush()

    def count(self, what):
        self.done[what] = self.done.get(what, 0) + 1

    def blow(self, seconds):
        """Until the storm is over; what was begun is ended afterwards by calm_down()."""
        told = 0.0
        while self.now() < seconds:
            self.look()
            if self.now() >= told:
                told = self.now() + 5
                self.progress(self)
            if self.queue and self.queue[0][0] <= self.now():
                _, _, method, arguments = heapq.heappop(self.queue)
                try:
                    method(*arguments)
                except (world.StoryError, subprocess.SubprocessError, OSError) as error:
                    self.story("   (%s did not work: %s)" % (method.__name__, str(error).strip().splitlines()[-1][:150]))
                continue
            world.until(lambda: not self.queue or self.queue[0][0] <= self.now() or self.now() >= told
                        or self.now() >= seconds, 10, "the next act")

    def look(self):
        """A daemon that ended by itself is a fault, whatever was done to it."""
        if not self.place.sim.running():
            raise world.StoryError("the simulator ended by itself:\n" + self.place.sim.tail())
        for node in self.place.nodes:
            if node.wanted and not node.running():
                self.found.append("%s ended by itself with %s" % (node.name, node.process.returncode))
                self.story("!! %s ended by itself with %s\n%s" % (node.name, node.process.returncode, node.tail(20)))
                node.start()

    def calm_down(self, dial_on):
        """Everything runs, everything has room, every clock is right; who was not dialed yet is, if `dial_on`."""
        self.queue = []
        self.story("the storm is over")
        for node in self.place.nodes:
            node.step(0)
            if node.stopped:
                self.go_on(node)
        self.place.data.empty()
        self.empty_postgres()
        self.start_postgres()
        for node in self.place.nodes:
            if not node.running():
                self.start(node)
        for slug, name in ((s, n) for s, names in places.CAMPAIGNS.items() for n in names):
            status = self.place.value("SELECT status FROM campaigns WHERE name = '%s'" % name)
            if status == "paused" and dial_on:
                self.resume(slug, name)
            elif status == "active" and not dial_on:
                self.place.command("campaign", "pause", name, organization=slug)
                self.place.note("paused", campaign=self.place.campaign_id[name])
        self.place.value("UPDATE dial_pauses SET resumed_at = now(), resumed_by = 'storm' WHERE resumed_at IS NULL")

    def pick(self, dice, nodes=None):
        nodes = nodes if nodes is not None else self.place.nodes
        return nodes[int(dice * len(nodes))] if nodes else None

    # --- processes ----------------------------------------------------------------------------------

    def kill(self, which, wait, *_):
        node = self.pick(which, [n for n in self.place.nodes if n.running()])
        if node is None:
            return
        node.wanted = False
        node.signal(signal.SIGKILL)
        node.wait(10)
        self.kills["daemon"] += 1
        self.story("kill -9 %s%s, back in %.1f s" % (node.name, " (stopped)" if node.stopped else "", wait * 1.2))
        node.step(0)
        self.later(self.now() + wait * 1.2, self.start, node)

    def start(self, node):
        if not node.running():
            node.start()
            self.story("start %s" % node.name)

    def stop_briefly(self, which, length, *_):
        self.stop(which, 0.2 + 2.5 * length)

    def stop_long(self, which, length, *_):
        """Longer than lease plus horizon: judged by the clock alone it would be dead, and its calls absent."""
        lease = int(places.SETTINGS["DIALWRIGHT_LEASE_MS"]) / 1000
        self.stop(which, lease + places.horizon_s(dict(self.place.env, **places.SETTINGS)) + LONG_SLACK_S + 2 * length)

    def stop(self, which, seconds):
        node = self.pick(which, [n for n in self.place.nodes if n.running() and not n.stopped])
        if node is None:
            return
        node.signal(signal.SIGSTOP)
        node.stopped = True
        self.count("long stop" if seconds > 10 else "stop")
        self.story("SIGSTOP %s for %.1f s" % (node.name, seconds))
        self.later(self.now() + seconds, self.go_on, node, node.process.pid)

    def go_on(self, node, pid=None):
        if node.running() and pid in (None, node.process.pid):
            node.signal(signal.SIGCONT)
            node.stopped = False
            self.story("SIGCONT %s" % node.name)

    # --- Postgres -----------------------------------------------------------------------------------

    def kill_postgres(self, wait, *_):
        if not self.postgres_up:
            return
        count = self.place.kill_postgres()
        self.postgres_up = False
        self.kills["postgres"] += 1
        self.story("kill -9 Postgres, %d processes, back in %.1f s" % (count, 0.2 + 2 * wait))
        self.later(self.now() + 0.2 + 2 * wait, self.start_postgres)

    def start_postgres(self):
        if self.postgres_full or (self.postgres_up and self.place.postgres_pids()):
            return
        self.postgres_up = self.place.start_postgres()
        self.story("start Postgres: %s" % ("up" if self.postgres_up else "it refuses"))
        if not self.postgres_up:
            self.later(self.now() + 0.5, self.start_postgres)

    def end_backends(self, *_):
        ended = self.place.value("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'app_login'")
        self.count("backends ended")
        self.story("pg_terminate_backend: %s" % ended)

    def fill_postgres(self, length, *_):
        if not self.place.pg_disk.mounted or not self.postgres_up:
            return
        self.place.pg_disk.fill(int(length * 64) * 1024)
        self.count("Postgres' disk full")
        self.story("Postgres' disk is full for %.1f s" % (2 + 3 * length))
        self.postgres_full = True
        self.later(self.now() + 2 + 3 * length, self.empty_postgres)

    def empty_postgres(self):
        if self.postgres_full:
            self.place.pg_disk.empty()
            self.postgres_full = False
            self.story("Postgres' disk has room again")
            if not alive(self.place.postgres_pids()):
                self.postgres_up = False
                self.start_postgres()

    # --- disk and clock of the daemons ----------------------------------------------------------------

    def fill_data(self, length, rest, *_):
        if not self.place.data.mounted:
            return
        self.place.data.fill(int(rest * 16) * 1024)
        self.count("data disk full")
        self.story("the data directory's disk is full for %.1f s" % (2 + 5 * length))
        self.later(self.now() + 2 + 5 * length, self.empty_data)

    def empty_data(self):
        self.place.data.empty()
        self.story("the data directory has room again")

    def step_clock(self, which, size, length, *_):
        node = self.pick(which, [n for n in self.place.nodes if n.running() and not n.stopped])
        if node is None or not self.place.clock_library:
            return
        seconds = STEPS[int(size * len(STEPS))]
        node.step(seconds)
        self.count("clock step")
        self.story("the clock of %s is %+d s off for %.1f s" % (node.name, seconds, 4 + 7 * length))
        self.later(self.now() + 4 + 7 * length, self.right_clock, node, node.process.pid, self.intents_of(node))

    def intents_of(self, node):
        """How many attempts this node has reserved that a right clock would not have dated so."""
        try:
            return int(self.place.value(
                "SELECT count(*) FROM call_logs l JOIN nodes n ON n.id = l.node_id WHERE n.name = '%s'"
                " AND abs(extract(epoch FROM l.intent_at - l.created_at)) > 5" % node.name))
        except world.StoryError:
            return None

    def right_clock(self, node, pid, before):
        said = None
        if node.running() and not node.stopped and node.process.pid == pid:
            try:
                said = node.metric("dialer_claiming")
            except OSError:
                pass
        node.step(0)
        after = self.intents_of(node)
        self.story("the clock of %s is right again (claiming meanwhile: %s)" % (node.name, said))
        if said not in (None, 0):
            self.found.append("row 30: %s went on claiming with a wrong clock" % node.name)
        if None not in (before, after) and after > before:
            self.found.append("row 30: %s reserved %d attempts by a wrong clock" % (node.name, after - before))

    # --- people and operators ---------------------------------------------------------------------------

    def bring_people(self, how_many):
        slug = next(self.organization)
        name = places.CAMPAIGNS[slug][int(how_many * 2)]
        count = 4 + int(how_many * 6)
        self.place.bring(slug, name, count)

    def refuse(self, which, *_):
        """An operator enters a refusal: of somebody who is being phoned, or waits."""
        rows = self.place.rows(
            "SELECT o.slug, l.phone_e164 FROM leads l JOIN organizations o ON o.id = l.organization_id WHERE EXISTS (SELECT FROM"
            " call_queue q WHERE q.lead_id = l.id AND q.status IN ('queued', 'processing')) ORDER BY l.id")
        if rows:
            row = rows[int(which * len(rows))]
            self.place.command("dnc", "add", row["phone_e164"], "--words", "storm", organization=row["slug"])
            self.count("refusal")
            self.story("refusal of %s, %s" % (row["phone_e164"], row["slug"]))

    def pause_campaign(self, which, length, *_):
        names = [(s, n) for s, ns in places.CAMPAIGNS.items() for n in ns]
        slug, name = names[int(which * len(names))]
        self.place.command("campaign", "pause", name, organization=slug)
        self.place.note("paused", campaign=self.place.campaign_id[name])
        self.count("campaign pause")
        self.story("campaign %s paused for %.1f s" % (name, 1.5 + 3 * length))
        self.later(self.now() + 1.5 + 3 * length, self.resume, slug, name)

    def resume(self, slug, name):
        self.place.note("resuming", campaign=self.place.campaign_id[name])
        try:
            self.place.command("campaign", "resume", name, organization=slug)
            self.story("campaign %s goes on" % name)
        except world.StoryError:
            # Whether it was done is not known; the checker takes it as done from the attempt on.
            self.later(self.now() + 1, self.resume, slug, name)

    def pause_tenant(self, which, length, *_):
        slug = list(places.ORGANIZATIONS)[int(which * 2)]
        self.place.value("INSERT INTO dial_pauses (organization_id, scope, reason, paused_by, paused_at) SELECT id, 'tenant', 'storm',"
                         " 'storm', clock_timestamp() FROM organizations WHERE slug = '%s'" % slug)
        self.count("tenant pause")
        self.story("tenant %s paused for %.1f s" % (slug, 1.5 + 4 * length))
        self.later(self.now() + 1.5 + 4 * length, self.resume_tenant, slug)

    def resume_tenant(self, slug):
        try:
            self.place.value("UPDATE dial_pauses d SET resumed_at = clock_timestamp(), resumed_by = 'storm' FROM organizations o"
                             " WHERE o.id = d.organization_id AND o.slug = '%s' AND d.resumed_at IS NULL" % slug)
            self.story("tenant %s goes on" % slug)
        except world.StoryError:
            self.later(self.now() + 1, self.resume_tenant, slug)

    # --- forgeries --------------------------------------------------------------------------------------

    def forge(self, which, mark, *_):
        """Reports of a real call that somebody else signed, or addressed, or bent."""
        rows = self.place.rows(
            "SELECT id, organization_id, queue_id, attempt_number, call_sid, request_uuid, caller_number, callee_number"
            " FROM call_logs WHERE direction = 'outbound' ORDER BY (status IN ('ended', 'not_placed')), id DESC LIMIT 40")
        node = self.pick(which, [n for n in self.place.nodes if n.running() and not n.stopped])
        if not rows or node is None:
            return
        row = rows[int(mark * len(rows))]
        answered = [self.send(node, *one) for one in forgeries(row, node.url, "forged-%s" % uuid.UUID(int=int(mark * 2**128)).hex)]
        self.story("forged %d reports of %s to %s: %s" % (len(answered), row["id"], node.name, sorted(set(answered))))

    def send(self, node, kind, mark, hook):
        try:
            status = wire.request("POST", hook.url, hook.body, hook.headers, timeout=2).status
        except OSError:
            status = 0
        self.count("forgery")
        self.place.note("webhook", how="forged_storm", kind=kind, mark=mark, status=status, call_uuid=mark, leg="none")
        return status


def alive(pids):
    return bool(pids) and os.path.exists("/proc/%d" % pids[0]) and not places.is_zombie(pids[0])


def forgeries(row, url, mark):
    """(kind, mark, hook) of each way to lie that this knows."""
    flat = {k: row[k].replace("-", "") for k in ("id", "organization_id", "queue_id")}
    true = ".".join([flat["id"], flat["organization_id"], flat["queue_id"], str(row["attempt_number"]), "4102444800", "0"])
    asked = {"call_uuid": mark, "request_uuid": mark, "from": row["caller_number"], "to": row["callee_number"],
             "answer_url": "http://x/answer/" + true}
    stranger = wire.Call(asked, "a secret that somebody guessed, long enough: 01234", world.AUTH_TOKEN, url)
    insider = wire.Call(asked, world.SECRET, "a token that somebody guessed", url)
    for kind, event, status in (("hangup", "Hangup", "completed"), ("ring", "Ring", "ringing"), ("answer", "StartApp", "in-progress")):
        yield kind, mark, stranger.hook(kind, event, status)
        yield kind, mark, insider.hook(kind, event, status)
        bent = wire.Call(asked, world.SECRET, world.AUTH_TOKEN, url).hook(kind, event, status)
        yield kind, mark, bent._replace(body=bent.body + "&Duration=86400")
        crossed = wire.Call(asked, world.SECRET, world.AUTH_TOKEN, url)
        other = "ring" if kind != "ring" else "hangup"
        target = crossed.url(other).replace("/%s/" % other, "/%s/" % kind)
        yield kind, mark, wire.hook(world.AUTH_TOKEN, target, crossed.fields(event, status))
