"""report.py -- TAP out of a story: one line for each thing that was looked at.

    with Report("name of the story") as t:
        t.same(got, wanted, "what it is")

What a story raises is a failed line with the traceback; the lines after it are not made up.
"""
import sys
import time
import traceback


class Report:
    def __init__(self, story):
        self.story = story
        self.count = 0
        self.failed = 0
        self.began = time.monotonic()

    def ok(self, good, name, detail=""):
        self.count += 1
        print("%sok %d - %s: %s" % ("" if good else "not ", self.count, self.story, name))
        if not good:
            self.failed += 1
            for line in str(detail).splitlines()[:40]:
                print("# " + line)
        sys.stdout.flush()
        return good

    def same(self, got, wanted, name):
        return self.ok(got == wanted, name, "got    %r\nwanted %r" % (got, wanted))

    def none(self, wrong, name):
        """`wrong` lists what is wrong; nothing should be."""
        wrong = list(wrong)
        return self.ok(not wrong, name, "\n".join(["%d wrong" % len(wrong)] + [str(w) for w in wrong[:12]]))

    def note(self, text):
        print("# %s: %s" % (self.story, text))
        sys.stdout.flush()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None and issubclass(kind, Exception):
            self.ok(False, "ran to its end", "".join(traceback.format_exception(kind, error, trace)[-12:]))
        print("# %s took %.1f s" % (self.story, time.monotonic() - self.began))
        print("1..%d" % self.count)
        sys.stdout.flush()
        if kind is None or issubclass(kind, Exception):
            sys.exit(1 if self.failed else 0)
        return False
