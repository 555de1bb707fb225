/* dial.pml -- the dial protocol, explored in every interleaving by spin: one person, two dialer processes,
 * a carrier, the reconciler, a primary and its standby.
 *
 * What is checked, at every step: no attempt is taken by the carrier twice; nobody is phoned again before the
 * dial before is known to have ended; an attempt that the carrier took is never written off; what has ended
 * stays ended; nobody is talked to after an opt-out. And wherever nothing more can happen: no attempt is lost.
 *
 * Time is abstract. A lease may run out at any moment, a process may stand still between any two steps for as
 * long as it likes (that is what interleaving means), a webhook may come at any later moment. Only the horizon
 * H is assumed to be what the settings say: once nobody can POST an attempt any more, H has not passed before
 * the carrier has dealt with every request of it, and a call that nobody picked up is in its records (horizon()).
 *
 * One guard at a time is switched off: by -DVARIANT=n, or by the environment's DIAL_VARIANT when the verifier
 * starts, so that one build explores them all. `script/model` does, and tells a counterexample as a story.
 *
 * Beside each step stands the function that it models. Where those change, this changes. */

#define ATT  2 /* attempts, in the order of their claims: an id is never used again */
#define INC  3 /* worker incarnations, over both processes */
#define NONE 7

/* The variants: the number is what script/model passes. */
#define NO_INTENT        1
#define NO_ACK           2
#define NO_ONCE          3
#define NO_UNKNOWN       4
#define NO_LEASE_RULE    5
#define NO_DEATH_PROOF   6
#define NO_HORIZON       7
#define NO_MONOTONE      8
#define NO_LISTS         9
#define NO_RECONCILER   10
#define NO_FENCE        11
#define NO_LOCK_KEPT    12
#define NO_SCAN_TIME    13
#define NO_ANSWER_GATE  14
#define NO_IT_RANG      15
#define NO_SECOND_LOOK  16
#define NO_DEADLINE     17
#define LISTS_LIE       18
#define LISTS_LIE_TAKEN 19
#define NO_RESULT_WAIT  20 /* among lists that lie, like the next */
#define NO_TAKEN_RULE   21
#define ASYNC           30 /* from here on the standby may lack what was acknowledged */
#define ASYNC_SCAN      31
#define ASYNC_JOURNAL   32
#define NO_BARRIER      33
#define NO_GENERATION   34
#define NO_SWEEP        35
#define NO_LONG_WAIT    36

/* What must be reachable, or the rest says little: the verifier has to find an "error" for each. */
#define REACH_5XX_DIALED  1
#define REACH_LATE_HOOK   2
#define REACH_LATE_POST   3
#define REACH_ABSENT      4
#define REACH_REINSERTED  5
#define REACH_SECOND_CALL 6
#define REACH_FAILOVER    7
#define REACHED(n) assert(reach != n)
#define CONFIRMED_ONLY (off >= LISTS_LIE_TAKEN && off <= NO_TAKEN_RULE)
/* Where lists lie about calls that were confirmed, only that is asked: see write_off(). */
#define PROMISE(x) assert(x || CONFIRMED_ONLY)

/* call_logs.status */
#define NO_ROW     0
#define INTENT     1 /* reserved */
#define UNKNOWN    2 /* outcome_unknown */
#define DIALING    3 /* dialing, ringing */
#define TALKING    4 /* in_progress, transferring */
#define ENDED      5
#define NOT_PLACED 6
#define OPEN(a) (db.row[a] >= INTENT && db.row[a] <= TALKING)

/* call_queue.status */
#define QUEUED     0
#define PROCESSING 1
#define DONE       2

typedef Ledger {
    byte row[ATT];
    bit signed_off[ATT];  /* signed_off_at: its owner is known not to POST it (any more) */
    bit known[ATT];   /* ringing_at, answered_at or call_sid: it was seen or heard of */
    bit taken[ATT];   /* placed_at: the carrier said 201 */
    byte job;
    byte cur; /* call_queue.call_log_id */
    bit dead[INC]; /* workers.status <> 'alive' */
}

Ledger db;
Ledger standby;
bit lag;    /* the standby lacks something */
bit frozen; /* asynchronous: it will never get what is committed from now on */

byte off;   /* the guard that is switched off, or how it is replicated */
byte reach; /* what we want to see reached */
byte next_id;
byte next_inc;

/* What is left to go wrong. */
byte bad;  /* of any kind, in any order: a process dies; an acknowledgement is lost, or the commit; a connection
                        breaks; a webhook comes twice. 5xx, cuts, lost and late webhooks, and standing still are free. */
byte troubles; /* what bad began with */
byte failovers = 1;

/* The dialer's processes (src/dial/dialer.c). */
#define IDLE    0
#define CLAIMED 1 /* the claim's commit was acknowledged */
#define LOOKED  2 /* brief and may_post said yes */
#define READY   3 /* journaled; only the deadline stands before the request */
#define POSTED  4
byte pc[2];
byte cur[2] = NONE; /* the attempt it is busy with */
byte inc[2] = NONE; /* the incarnation that claims */
bit older[2];       /* has noticed the other history: what it had claimed before is signed off */
bit told[2];        /* has checked in on the new history: its journal is replayed */
bit resume = 1;     /* claims are open */

/* Incarnations: their lock files (src/dial/lock_file.c). */
#define UNUSED 0
#define HELD   1
#define FREE   2 /* the process died: whoever tries gets it */
#define GONE   3 /* signed off: the file was removed */
byte lock[INC];
byte home[INC]; /* the process */
bit ended[INC]; /* worker_end() */
byte ghost = NONE; /* its process died while its claim was on the way to the database */

/* One attempt, in the world and in its process' memory. */
#define R_NONE 0
#define R_201  1 /* taken */
#define R_NOT  2 /* a documented 4xx, nothing sent, or signed off: known not to ring */
#define R_DARK 3 /* 5xx, cut, too late: nobody knows */
byte own[ATT] = NONE; /* worker_id */
byte req[ATT];        /* requests on their way to the carrier, or in its hands */
byte held[ATT];       /* place.c's result, until it is written */
bit journal[ATT];     /* on this host's disk, whatever the database forgets */
byte dials[ATT];
bit again[ATT]; /* the client has sent it once more by itself */

/* The carrier's side of a call. */
#define P_NONE   0
#define P_QUEUED 1 /* will ring; in no list yet */
#define P_RING   2
#define P_TALK   3
#define P_OVER   4 /* out of the live list, not yet in the records */
#define P_CDR    5
byte phase[ATT];
bit ring_hook[ATT];
bit answer_hook[ATT];
bit hangup_hook[ATT];

/* The reconciler's look at the lists: read at one moment, written at a later one. */
#define S_NOTHING 1
#define S_LIVE    2
#define S_TALK    3
#define S_CDR     4
bit seen[ATT]; /* lists were read that showed nothing, and that is not written yet */
bit hz[ATT];        /* H has passed since the sign-off */

byte gone; /* for a moment */
bit opted_out;
bit talked[ATT];
bit was_ended[ATT]; /* its end was on record once, whatever a failover took back */

#define SYNC        (off < ASYNC)
#define JOURNALED   (off >= ASYNC_JOURNAL)
#define RESUMES     (off >= ASYNC_SCAN)
#define HAS(p, a)   (own[a] != NONE && home[own[a] % INC] == p && lock[own[a] % INC] == HELD && (OPEN(a) || held[a] != R_NONE))
#define OWES(i)     ((own[0] == i && OPEN(0) && !db.signed_off[0]) || (own[1] == i && OPEN(1) && !db.signed_off[1]))
#define POSTING(i)  ((pc[0] != IDLE && own[cur[0] % ATT] == i) || (pc[1] != IDLE && own[cur[1] % ATT] == i))
#define UNWRITTEN(i) ((held[0] != R_NONE && own[0] == i) || (held[1] != R_NONE && own[1] == i))
#define OTHER(a)    (1 - a)

inline copy_ledger(to, from)
{
    to.row[0] = from.row[0];
    to.row[1] = from.row[1];
    to.signed_off[0] = from.signed_off[0];
    to.signed_off[1] = from.signed_off[1];
    to.known[0] = from.known[0];
    to.known[1] = from.known[1];
    to.taken[0] = from.taken[0];
    to.taken[1] = from.taken[1];
    to.job = from.job;
    to.cur = from.cur;
    to.dead[0] = from.dead[0];
    to.dead[1] = from.dead[1];
    to.dead[2] = from.dead[2];
}

/* A commit. With a synchronous standby what anybody can see is on both. An asynchronous one has, when it takes over, what
 * was committed up to some moment: it follows until that moment comes. */
inline commit()
{
    if
    :: !frozen -> copy_ledger(standby, db); lag = 0
    :: else -> lag = 1
    fi
}

/* app.settle(): the job follows the attempt, if it is still this attempt's. */
inline settle(a, answered)
{
    if
    :: off == NO_FENCE || db.cur == a ->
        db.job = (answered || opted_out -> DONE : QUEUED);
        db.cur = NONE
    :: else
    fi
}

/* What no longer matters is forgotten, so that like states are one. */
inline tidy(i)
{
    if
    :: !OWES(i) && !UNWRITTEN(i) && !POSTING(i) && inc[0] != i && inc[1] != i && ghost != i && i < next_inc ->
        lock[i] = GONE;
        ended[i] = 0;
        home[i] = (SYNC -> 0 : home[i]);
        db.dead[i] = 0
    :: else
    fi
}

inline forget(a)
{
    db.signed_off[a] = 0;
    db.known[a] = 0;
    db.taken[a] = 0;
    hz[a] = 0;
    talked[a] = 0;
    again[a] = 0;
    answer_hook[a] = 0;
    hangup_hook[a] = 0;
    tidy(0);
    tidy(1);
    tidy(2)
}

inline write_off(a)
{
    printf("   attempt %d is written off: not placed\n", a);
    PROMISE(dials[a] == 0); /* an attempt that rang was written off, and the person will be called again */
    assert(!CONFIRMED_ONLY || (held[a] != R_201 && !db.taken[a])); /* a confirmed call was denied by a list */
    db.row[a] = NOT_PLACED;
    settle(a, false);
    forget(a)
}

/* app.finish_call() */
inline finish(a)
{
    if
    :: OPEN(a) ->
        PROMISE(dials[a] > 0);
        db.row[a] = ENDED;
        was_ended[a] = 1;
        phase[a] = P_CDR; /* it will be */
        settle(a, talked[a]);
        forget(a)
    :: else
    fi
}

/* --- the dialer ---------------------------------------------------------------------------------------- */

/* worker_end(): claims no more; the lock stays until sign_off(). */
inline end_worker(p)
{
    ended[inc[p]] = 1;
    gone = inc[p];
    inc[p] = NONE;
    tidy(gone);
    gone = 0
}

/* Who claims first is called P0: the two are alike. */
#define MAY_CLAIM(p) (pc[p] == IDLE && (inc[p] != NONE || next_inc < INC) && db.job == QUEUED && next_id < ATT && !opted_out && \
                      resume && (p == 0 || next_id > 0 || bad < troubles))

/* dialer.c: on_tick() -> worker_begin(): lock_take(), engine.worker_start(). */
inline have_worker(p)
{
    if
    :: inc[p] == NONE ->
        inc[p] = next_inc;
        lock[next_inc] = HELD;
        home[next_inc] = p;
        printf("P%d starts incarnation %d and takes its lock\n", p, next_inc);
        next_inc++
    :: else
    fi
}

/* engine.claim_write() */
inline insert_intent(p)
{
    cur[p] = next_id;
    own[next_id] = inc[p];
    db.row[next_id] = INTENT;
    db.job = PROCESSING;
    db.cur = next_id;
    next_id++
}

/* place.c: sign_off(). It will never be POSTed by us. */
inline sign_off_attempt(p, why)
{
    printf("P%d signs attempt %d off: why %d (1 deadline, 2 the last look, 3 the database, 4 another history, 5 nothing was sent)\n",
           p, cur[p], why);
    held[cur[p]] = R_NOT;
    pc[p] = IDLE;
    cur[p] = NONE
}

/* engine.worker_dead(): the proof goes onto each live attempt of the worker, and an intent of it is in question. */
inline bury(i, state)
{
    printf("   incarnation %d can POST no more: that is on record\n", i);
    db.dead[i] = 1;
    if
    :: own[0] == i && OPEN(0) -> db.signed_off[0] = 1; db.row[0] = (db.row[0] == INTENT -> UNKNOWN : db.row[0])
    :: else
    fi;
    if
    :: own[1] == i && OPEN(1) -> db.signed_off[1] = 1; db.row[1] = (db.row[1] == INTENT -> UNKNOWN : db.row[1])
    :: else
    fi;
    lock[i] = state;
    commit()
}

/* SIGKILL, power, a bug: the kernel frees the locks; what only the process knew is gone. */
inline crash(p)
{
    d_step {
        bad > 0 && (pc[p] != IDLE || HAS(p, 0) || HAS(p, 1));
        bad--;
        printf("P%d dies\n", p);
        if
        :: lock[0] == HELD && home[0] == p -> lock[0] = FREE
        :: else
        fi;
        if
        :: lock[1] == HELD && home[1] == p -> lock[1] = FREE
        :: else
        fi;
        if
        :: lock[2] == HELD && home[2] == p -> lock[2] = FREE
        :: else
        fi;
        if
        :: own[0] != NONE && home[own[0] % INC] == p -> held[0] = R_NONE
        :: else
        fi;
        if
        :: own[1] != NONE && home[own[1] % INC] == p -> held[1] = R_NONE
        :: else
        fi;
        pc[p] = IDLE;
        cur[p] = NONE;
        inc[p] = NONE;
        tidy(0);
        tidy(1);
        tidy(2)
    }
}

proctype Dialer(byte p)
{
end:
    do
    /* engine.claim(), acknowledged without a warning (pg_link.c: on_notice). */
    :: d_step {
        MAY_CLAIM(p) && off != NO_INTENT;
        have_worker(p);
        if
        :: next_id == 1 -> REACHED(REACH_SECOND_CALL)
        :: else
        fi;
        insert_intent(p);
        commit();
        pc[p] = CLAIMED;
        printf("P%d claims attempt %d, committed and acknowledged\n", p, cur[p])
    }
    /* Committed, but the acknowledgement is lost (row 3). */
    :: d_step {
        MAY_CLAIM(p) && bad > 0 && off != NO_INTENT;
        bad--;
        have_worker(p);
        insert_intent(p);
        commit();
        printf("P%d claims attempt %d; the commit's acknowledgement is lost\n", p, cur[p]);
        if
        :: off == NO_ACK -> pc[p] = CLAIMED
        :: else -> cur[p] = NONE; end_worker(p)
        fi
    }
    /* Committed here, with the warning that it may not have been replicated (row 4). */
    :: d_step {
        MAY_CLAIM(p) && bad > 0 && SYNC && off != NO_INTENT;
        bad--;
        have_worker(p);
        insert_intent(p);
        lag = 1;
        printf("P%d claims attempt %d; the server warns that it may not be replicated\n", p, cur[p]);
        if
        :: off == NO_ACK -> pc[p] = CLAIMED
        :: else -> cur[p] = NONE; end_worker(p)
        fi
    }
    /* The database failed before the commit (row 2): nobody but the worker is any the wiser. */
    :: d_step {
        MAY_CLAIM(p) && bad > 0 && off != NO_INTENT;
        bad--;
        have_worker(p);
        printf("P%d asks for attempt %d; the database fails before the commit\n", p, next_id);
        if
        :: off == NO_ACK -> cur[p] = next_id; own[next_id] = inc[p]; pc[p] = CLAIMED
        :: else -> end_worker(p)
        fi
    }
    /* The process dies and its claim's transaction does not: it commits when it likes. */
    :: d_step {
        MAY_CLAIM(p) && bad > 0 && ghost == NONE && off != NO_INTENT && SYNC;
        bad--;
        have_worker(p);
        ghost = inc[p];
        lock[ghost] = FREE;
        inc[p] = NONE;
        printf("P%d dies while its claim is on the way\n", p)
    }
    :: d_step {
        MAY_CLAIM(p) && off == NO_INTENT;
        have_worker(p);
        cur[p] = next_id;
        own[next_id] = inc[p];
        pc[p] = CLAIMED;
        printf("P%d reads that attempt %d is due, and writes nothing\n", p, cur[p])
    }

    /* place.c: on_brief(), app.may_post(): the last look. */
    :: d_step {
        pc[p] == CLAIMED && (db.row[cur[p] % ATT] == INTENT && !opted_out || off == NO_INTENT || off == NO_ACK ||
                             off == NO_SECOND_LOOK);
        pc[p] = (JOURNALED -> LOOKED : READY);
        printf("P%d: the last look says yes to attempt %d\n", p, cur[p])
    }
    :: d_step {
        pc[p] == CLAIMED && (db.row[cur[p] % ATT] != INTENT || opted_out) && off != NO_INTENT && off != NO_ACK &&
            off != NO_SECOND_LOOK;
        sign_off_attempt(p, 2)
    }
    :: d_step {
        pc[p] == CLAIMED && bad > 0 && SYNC;
        bad--;
        if
        :: inc[p] != NONE -> end_worker(p)
        :: else
        fi;
        sign_off_attempt(p, 3)
    }
    /* The journal of the data directory, O_DSYNC, before the request. */
    :: d_step {
        pc[p] == LOOKED;
        journal[cur[p]] = 1;
        pc[p] = READY;
        printf("P%d journals attempt %d\n", p, cur[p])
    }
    /* place.c: post(): too long since the claim. */
    :: d_step {
        pc[p] == READY && off != NO_DEADLINE;
        sign_off_attempt(p, 1)
    }
    /* Connection refused, no address, no TLS: no byte of the request left us (row 8). */
    :: d_step {
        pc[p] == READY;
        sign_off_attempt(p, 5)
    }
    /* carrier->place_start(): the one POST. */
    :: d_step {
        pc[p] == READY;
        if
        :: db.row[cur[p]] == UNKNOWN && hz[cur[p]] -> REACHED(REACH_LATE_POST)
        :: else
        fi;
        req[cur[p]]++;
        pc[p] = POSTED;
        printf("P%d POSTs attempt %d\n", p, cur[p])
    }
    /* T_post is over. */
    :: d_step {
        pc[p] == POSTED;
        held[cur[p]] = (off == NO_UNKNOWN -> R_NOT : R_DARK);
        printf("P%d gives up waiting for attempt %d's answer\n", p, cur[p]);
        pc[p] = IDLE;
        cur[p] = NONE
    }
    /* Another attempt of this incarnation met a broken database: on_trouble() -> worker_end(). */
    :: d_step {
        inc[p] != NONE && bad > 0 && OWES(inc[p]) && SYNC;
        bad--;
        printf("P%d ends incarnation %d: the database failed elsewhere\n", p, inc[p]);
        end_worker(p)
    }
    /* sign_worker_off(): engine.worker_dead(…, 'sign_off') when nothing of it can be POSTed any more and all that it
     * knows is written. */
    :: d_step {
        inc[p] != 0 && lock[0] == HELD && home[0] == p && ended[0] && OWES(0) &&
            (off == NO_LOCK_KEPT || (!POSTING(0) && (off == NO_RESULT_WAIT || !UNWRITTEN(0))));
        bury(0, GONE)
    }
    :: d_step {
        inc[p] != 1 && lock[1] == HELD && home[1] == p && ended[1] && OWES(1) &&
            (off == NO_LOCK_KEPT || (!POSTING(1) && (off == NO_RESULT_WAIT || !UNWRITTEN(1))));
        bury(1, GONE)
    }
    :: d_step {
        inc[p] != 2 && lock[2] == HELD && home[2] == p && ended[2] && OWES(2) &&
            (off == NO_LOCK_KEPT || (!POSTING(2) && (off == NO_RESULT_WAIT || !UNWRITTEN(2))));
        bury(2, GONE)
    }
    :: crash(p)

    /* The server shows another history: nothing claimed on the old one is POSTed any more. */
    :: d_step {
        !SYNC && failovers == 0 && !older[p];
        older[p] = 1;
        printf("P%d sees the new history\n", p);
        if
        :: inc[p] != NONE -> end_worker(p)
        :: else
        fi;
        if
        :: off != NO_GENERATION && JOURNALED && (pc[p] == CLAIMED || pc[p] == LOOKED || pc[p] == READY) ->
            sign_off_attempt(p, 4)
        :: else
        fi
    }
    /* It checks in when each entry of its journal has its row. */
    :: d_step {
        JOURNALED && older[p] && !told[p] &&
            (!journal[0] || home[own[0] % INC] != p || db.row[0] != NO_ROW) &&
            (!journal[1] || home[own[1] % INC] != p || db.row[1] != NO_ROW);
        told[p] = 1;
        printf("P%d checks in: its journal is replayed\n", p)
    }
    od
}

/* --- one attempt: its result, the carrier, the webhooks, the lists ------------------------------------- */

/* app.place_result(): write_result() tries until the database has it; a repetition changes nothing. */
inline place_result(a)
{
    if
    :: db.row[a] == NO_ROW
    :: else ->
        db.signed_off[a] = OPEN(a);
        if
        :: held[a] == R_201 ->
            PROMISE(db.row[a] != NOT_PLACED); /* taken after it was written off */
            db.taken[a] = OPEN(a);
            if
            :: db.row[a] == INTENT || db.row[a] == UNKNOWN -> db.row[a] = (talked[a] -> TALKING : DIALING)
            :: else
            fi
        :: held[a] == R_DARK && db.row[a] == INTENT ->
            db.row[a] = UNKNOWN;
            if
            :: dials[a] == 1 -> REACHED(REACH_5XX_DIALED)
            :: else
            fi
        :: held[a] == R_NOT && (db.row[a] == INTENT || db.row[a] == UNKNOWN) && !db.known[a] -> write_off(a)
        :: else
        fi
    fi
}

/* app.reconcile_scan(), then app.reconcile_absence(): which conditions are asked is the heart of it. */
#define PROVEN(a) (off == NO_DEATH_PROOF || db.signed_off[a])
#define WAITED(a) (off == NO_HORIZON || hz[a])
#define SILENT(a) (!db.known[a] || off == NO_IT_RANG)
#define DENIED(a) (off == NO_TAKEN_RULE || !db.taken[a]) /* what the carrier confirmed no list talks away */

/* What the lists say at this moment. */
#define LISTED(a) (phase[a] == P_RING -> S_LIVE : (phase[a] == P_TALK -> S_TALK : \
                   (phase[a] == P_CDR -> S_CDR : S_NOTHING)))
#define LIES      (off == LISTS_LIE || CONFIRMED_ONLY)
#define ASKED_FOR(a) (db.row[a] == UNKNOWN || db.row[a] == DIALING || db.row[a] == TALKING)
/* A look that changes nothing is not modeled: it could go on for ever. One look after the horizon is enough here; the
 * product wants two, some time apart. */
#define NEWS(a)    (LISTED(a) == S_CDR || (LISTED(a) == S_LIVE && (db.row[a] == UNKNOWN || !db.known[a])) || \
                    (LISTED(a) == S_TALK && (db.row[a] != TALKING || !db.known[a])))
#define NOTHING(a) (LISTED(a) == S_NOTHING || LIES)
#define COUNTS(a)  (WAITED(a) || off == NO_SCAN_TIME) /* dated by the moment at which the lists were read */

inline take(a)
{
    PROMISE(dials[a] == 0);            /* one attempt, dialed twice */
    PROMISE(db.row[a] != NOT_PLACED);  /* dialed after it was written off */
    PROMISE(dials[OTHER(a)] == 0 || was_ended[OTHER(a)]); /* called again before the dial before is known to have ended */
    dials[a]++;
    phase[a] = P_QUEUED
}

inline posted(p, a, what)
{
    if
    :: off == NO_ONCE && what == R_DARK && !again[a] ->
        /* What libcurl does by itself when a kept connection dies. */
        again[a] = 1;
        req[a]++;
        printf("P%d: its HTTP client sends attempt %d once more\n", p, a)
    :: else ->
        held[a] = (off == NO_UNKNOWN && what == R_DARK -> R_NOT : what);
        printf("P%d hears of attempt %d: %d (1: 201, 2: refused, 3: nobody knows)\n", p, a, what);
        pc[p] = IDLE;
        cur[p] = NONE
    fi
}

/* place.c: on_posted(), in the process that still waits for it. */
inline answer_with(a, what)
{
    if
    :: pc[0] == POSTED && cur[0] == a -> posted(0, a, what)
    :: else
    fi;
    if
    :: pc[1] == POSTED && cur[1] == a -> posted(1, a, what)
    :: else
    fi
}

inline on_ring(a)
{
    printf("H: attempt %d rings, says a webhook\n", a);
    PROMISE(db.row[a] != NOT_PLACED); /* a report about an attempt that was written off */
    if
    :: db.row[a] == UNKNOWN && hz[a] -> REACHED(REACH_LATE_HOOK)
    :: else
    fi;
    if
    :: db.row[a] == INTENT || db.row[a] == UNKNOWN || db.row[a] == DIALING -> db.row[a] = DIALING
    :: off == NO_MONOTONE && db.row[a] == ENDED ->
        PROMISE(false) /* what has ended is alive again */
    :: else
    fi;
    db.known[a] = OPEN(a);
    commit()
}

inline on_answer(a)
{
    PROMISE(db.row[a] != NOT_PLACED);
    if
    :: db.row[a] == NO_ROW -> printf("H: attempt %d is picked up, and nobody here knows it: hung up\n", a)
    :: else ->
        db.known[a] = OPEN(a);
        if
        :: OPEN(a) -> db.row[a] = TALKING
        :: else
        fi;
        commit();
        if
        :: phase[a] == P_RING && OPEN(a) && (!opted_out || off == NO_ANSWER_GATE) ->
            printf("H: attempt %d is picked up, and talks\n", a);
            PROMISE(!opted_out); /* talked to after an opt-out */
            talked[a] = 1;
            phase[a] = P_TALK
        :: else ->
            printf("H: attempt %d is picked up, and hung up\n", a);
            if
            :: phase[a] == P_RING -> phase[a] = P_OVER
            :: else
            fi
        fi
    fi
}

inline on_hangup(a)
{
    printf("H: attempt %d has ended, says a webhook\n", a);
    PROMISE(db.row[a] != NOT_PLACED);
    if
    :: db.row[a] != NO_ROW -> finish(a); commit()
    :: else
    fi
}

proctype Attempt(byte a)
{
end:
    do
    /* place.c: write_result(); then on_attempt_over(). */
    :: d_step {
        held[a] != R_NONE;
        printf("P%d writes attempt %d's result %d\n", home[own[a] % INC], a, held[a]);
        place_result(a);
        commit();
        held[a] = R_NONE;
        tidy(own[a] % INC)
    }
    /* The same, and its acknowledgement is lost: it will be written again. */
    :: d_step {
        held[a] != R_NONE && bad > 0 && SYNC;
        bad--;
        printf("P%d writes attempt %d's result %d and does not hear that it is there\n", home[own[a] % INC], a, held[a]);
        place_result(a);
        commit()
    }

    /* The carrier takes a request. It answers 201, or 5xx, or the line breaks, or it is too late. */
    :: d_step {
        req[a] > 0;
        req[a]--;
        printf("C takes attempt %d and answers 201\n", a);
        take(a);
        answer_with(a, R_201)
    }
    :: d_step {
        req[a] > 0;
        req[a]--;
        printf("C takes attempt %d, and its answer is an error or is lost\n", a);
        take(a);
        answer_with(a, R_DARK)
    }
    :: d_step {
        req[a] > 0;
        req[a]--;
        printf("C refuses attempt %d with a documented 4xx\n", a);
        answer_with(a, R_NOT)
    }
    :: d_step {
        req[a] > 0;
        req[a]--;
        printf("C drops attempt %d, with an error or without a word\n", a);
        answer_with(a, R_DARK)
    }
    /* The call's way; each report may be lost. */
    :: d_step {
        phase[a] == P_QUEUED;
        phase[a] = P_RING;
        ring_hook[a] = 1;
        printf("C: attempt %d rings\n", a)
    }
    :: d_step {
        phase[a] == P_QUEUED;
        phase[a] = P_RING;
        printf("C: attempt %d rings, and the webhook is lost\n", a)
    }
    :: d_step {
        phase[a] == P_RING && !answer_hook[a];
        answer_hook[a] = 1;
        printf("C: attempt %d is picked up\n", a)
    }
    :: d_step {
        phase[a] == P_RING || phase[a] == P_TALK;
        phase[a] = P_OVER;
        hangup_hook[a] = 1;
        printf("C: attempt %d is over\n", a)
    }
    :: d_step {
        phase[a] == P_RING || phase[a] == P_TALK;
        phase[a] = P_OVER;
        printf("C: attempt %d is over, and the webhook is lost\n", a)
    }
    :: d_step {
        phase[a] == P_OVER;
        phase[a] = P_CDR;
        printf("C: attempt %d is in the records\n", a)
    }

    /* app.call_event('ring') */
    :: d_step {
        ring_hook[a];
        ring_hook[a] = 0;
        on_ring(a)
    }
    :: d_step {
        ring_hook[a] && bad > 0 && SYNC;
        bad--;
        on_ring(a)
    }
    /* app.call_answer(): the gate once more, and only then a talk. */
    :: d_step {
        answer_hook[a];
        answer_hook[a] = 0;
        on_answer(a)
    }
    /* app.call_hangup() */
    :: d_step {
        hangup_hook[a];
        hangup_hook[a] = 0;
        on_hangup(a)
    }
    :: d_step {
        hangup_hook[a] && bad > 0 && SYNC;
        bad--;
        on_hangup(a)
    }

    /* engine.lease_sweep(): the lease ran out. */
    :: d_step {
        db.row[a] == INTENT && off != NO_RECONCILER;
        printf("R: attempt %d's lease ran out\n", a);
        if
        :: off == NO_LEASE_RULE -> db.row[a] = NOT_PLACED; settle(a, false); forget(a)
        :: else -> db.row[a] = UNKNOWN
        fi;
        commit()
    }
    /* engine.unknown_due(): a claim of a dead worker may have been committed after its death was written down. */
    :: d_step {
        OPEN(a) && db.row[a] != INTENT && !db.signed_off[a] && db.dead[own[a] % INC];
        db.signed_off[a] = 1;
        commit()
    }
    /* carrier->search_start(): three lists, read to their end. app.reconcile_scan(): a placed call that is in none. */
    :: d_step {
        off != NO_RECONCILER && (db.row[a] == DIALING || db.row[a] == TALKING) && NOTHING(a);
        printf("R: attempt %d is in no list\n", a);
        db.row[a] = UNKNOWN;
        commit()
    }
    :: d_step {
        off != NO_RECONCILER && !seen[a] && db.row[a] == UNKNOWN && PROVEN(a) && SILENT(a) && DENIED(a) && COUNTS(a) &&
            (NOTHING(a) || off == NO_LISTS);
        printf("R reads the lists for attempt %d: nothing\n", a);
        seen[a] = 1
    }
    /* app.reconcile_absence(), perhaps much later: all that it needs is asked again, of the row. */
    :: d_step {
        seen[a] && (WAITED(a) || db.row[a] != UNKNOWN);
        seen[a] = 0;
        if
        :: db.row[a] == UNKNOWN && PROVEN(a) && SILENT(a) && DENIED(a) ->
            printf("R: attempt %d was in no list, and cannot appear any more\n", a);
            REACHED(REACH_ABSENT);
            write_off(a);
            commit()
        :: else
        fi
    }
    /* app.reconcile_presence() */
    :: d_step {
        off != NO_RECONCILER && ASKED_FOR(a) && NEWS(a);
        printf("R finds attempt %d in the lists: %d (2 rings, 3 talks, 4 ended)\n", a, LISTED(a));
        db.known[a] = 1;
        if
        :: phase[a] == P_CDR -> finish(a)
        :: phase[a] == P_TALK -> db.row[a] = TALKING
        :: phase[a] == P_RING && db.row[a] == UNKNOWN -> db.row[a] = DIALING
        :: else
        fi;
        commit()
    }
    /* H: nothing of what was asked for can still appear. A talk may last longer. */
    :: d_step {
        !hz[a] && (db.signed_off[a] || ((off == NO_DEATH_PROOF || reach == REACH_LATE_POST) && db.row[a] == UNKNOWN)) && OPEN(a) && req[a] == 0 &&
            (phase[a] == P_NONE || phase[a] == P_CDR || (phase[a] == P_TALK && (!JOURNALED || failovers > 0 || off == NO_LONG_WAIT)));
        hz[a] = 1;
        printf("   the horizon of attempt %d has passed\n", a)
    }
    /* The replay of the journal, and the sweep over the account's whole list before claims are open again. */
    :: d_step {
        JOURNALED && !resume && journal[a] && db.row[a] == NO_ROW && older[home[own[a] % INC]] && !OPEN(OTHER(a));
        printf("   the journal's attempt %d is put back as unknown\n", a);
        REACHED(REACH_REINSERTED);
        db.row[a] = UNKNOWN;
        db.job = PROCESSING;
        db.cur = a;
        commit()
    }
    od
}

/* --- proof of death, replication, failover, the person ------------------------------------------------- */

#define PROVABLE(i) ((lock[i] == FREE && (OWES(i) || ghost == i)) || (lock[i] == GONE && OWES(i) && !SYNC))
#define SIGHTED(a) (phase[a] == P_RING || phase[a] == P_TALK || phase[a] == P_CDR)

#define OPEN_TWICE (SIGHTED(0) && SIGHTED(1) && db.row[0] == NO_ROW && db.row[1] == NO_ROW)

/* app.orphan_check() over everything the account's lists show. */
inline sweep(a)
{
    if
    :: SIGHTED(a) && db.row[a] == NO_ROW -> db.row[a] = UNKNOWN; db.known[a] = 1; db.job = PROCESSING; db.cur = a
    :: SIGHTED(a) && OPEN(a) -> db.known[a] = 1
    :: else
    fi
}

proctype House()
{
end:
    do
    /* reconcile.c: scan_locks() -> bury(): a lock that can be taken is the proof. */
    :: d_step {
        PROVABLE(0);
        bury(0, GONE)
    }
    :: d_step {
        PROVABLE(1);
        bury(1, GONE)
    }
    :: d_step {
        PROVABLE(2);
        bury(2, GONE)
    }
    :: d_step {
        ghost != NONE && db.job == QUEUED && next_id < ATT && !opted_out && resume;
        printf("   the dead process' claim of attempt %d commits\n", next_id);
        own[next_id] = ghost;
        db.row[next_id] = INTENT;
        db.job = PROCESSING;
        db.cur = next_id;
        next_id++;
        ghost = NONE;
        commit()
    }
    :: d_step {
        !SYNC && failovers > 0 && !frozen;
        frozen = 1;
        printf("   the standby falls behind: it has all up to here\n")
    }
    :: d_step {
        SYNC && lag;
        printf("   the standby has all that is committed\n");
        commit()
    }
    /* The primary is lost; the standby is the truth from now on. */
    :: d_step {
        failovers > 0 && lag;
        failovers--;
        printf("   FAILOVER: the standby takes over, without what it lacked\n");
        REACHED(REACH_FAILOVER);
        copy_ledger(db, standby);
        lag = 0;
        frozen = 0;
        hz[0] = 0;
        hz[1] = 0;
        resume = !RESUMES;
        /* Who has nothing in hand has seen it and checked in at once. */
        older[0] = (pc[0] == IDLE && inc[0] == NONE);
        older[1] = (pc[1] == IDLE && inc[1] == NONE);
        told[0] = 0;
        told[1] = 0
    }
    /* Claims are opened when all have checked in, after the sweep. */
    :: d_step {
        RESUMES && !resume && !OPEN_TWICE &&
            (off == ASYNC_SCAN || (told[0] && told[1]) || (off == NO_BARRIER && (told[0] || told[1])));
        if
        :: off != NO_SWEEP -> sweep(0); sweep(1)
        :: else
        fi;
        printf("   claims are open again\n");
        resume = 1;
        commit()
    }
    :: d_step {
        !opted_out && SYNC && next_id == 1 && OPEN(0);
        opted_out = 1;
        printf("   the person opts out\n");
        if
        :: db.job == QUEUED -> db.job = DONE
        :: else
        fi;
        commit()
    }
    od
}
#define SETTLED(a) (db.row[a] == NO_ROW || (db.row[a] == ENDED && dials[a] == 1) || (db.row[a] == NOT_PLACED && dials[a] == 0))

/* Nothing more can happen anywhere: then each attempt has its end on record, and the job is nobody's. */
proctype Quiet()
{
    timeout;
    PROMISE(resume);
    PROMISE(SETTLED(0) && SETTLED(1)); /* an attempt is lost */
    PROMISE(db.job != PROCESSING);
    PROMISE(db.row[0] != NO_ROW || dials[0] == 0); /* a dial that the ledger does not know */
    PROMISE(db.row[1] != NO_ROW || dials[1] == 0)
}

c_decl {
\#include <stdlib.h>
};

init
{
#ifdef VARIANT
    off = VARIANT;
    troubles = 2;
#else
    c_code {
        const char *variant = getenv("DIAL_VARIANT");
        const char *wanted = getenv("DIAL_REACH");
        const char *troubles = getenv("DIAL_TROUBLES");
        now.troubles = troubles != NULL ? (unsigned char)atoi(troubles) : 2;
        now.off = variant != NULL ? (unsigned char)atoi(variant) : 0;
        now.reach = wanted != NULL ? (unsigned char)atoi(wanted) : 0;
    };
#endif
    atomic {
        bad = troubles;
        db.cur = NONE;
        standby.cur = NONE;
        run Dialer(0);
        run Dialer(1);
        run Attempt(0);
        run Attempt(1);
        run House();
        run Quiet()
    }
}
