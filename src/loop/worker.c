#include "loop/worker.h"

#include "base/alloc.h"

#include <errno.h>

struct worker_op {
    uv_work_t req;
    struct loop *loop;
    worker_fn *work;
    worker_fn *on_done;
    worker_fn *drop;
    void *arg;
    bool cancelled; /* the loop's thread only */
};

static void finish(struct worker_op *op)
{
    worker_fn *tell = op->cancelled ? op->drop : op->on_done;
    void *arg = op->arg;
    xfree(op);
    if (tell != NULL) {
        tell(arg);
    }
}

static void on_pool(uv_work_t *req)
{
    struct worker_op *op = req->data;
    op->work(op->arg);
}

static void on_after(uv_work_t *req, int status)
{
    (void)status; /* UV_ECANCELED only after worker_cancel(), and then drop() runs all the same */
    finish(req->data);
}

/* With a virtual clock the work is done in the turn itself: the order of events must not depend on
 * threads. */
static void on_virtual_turn(void *arg)
{
    struct worker_op *op = arg;
    if (!op->cancelled) {
        op->work(op->arg);
    }
    finish(op);
}

int worker_start(struct worker_op **op_p, struct loop *loop, worker_fn *work, worker_fn *on_done,
                 worker_fn *drop, void *arg)
{
    struct worker_op *op = xzalloc(sizeof *op);
    op->loop = loop;
    op->work = work;
    op->on_done = on_done;
    op->drop = drop;
    op->arg = arg;
    op->req.data = op;
    if (loop_is_virtual(loop)) {
        loop_defer(loop, on_virtual_turn, op);
    } else {
        int err = uv_queue_work(loop_uv(loop), &op->req, on_pool, on_after);
        if (err < 0) {
            xfree(op);
            return err;
        }
    }
    *op_p = op;
    return 0;
}

void worker_cancel(struct worker_op **op_p)
{
    if (op_p == NULL || *op_p == NULL) {
        return;
    }
    struct worker_op *op = *op_p;
    *op_p = NULL;
    op->cancelled = true;
    if (!loop_is_virtual(op->loop)) {
        (void)uv_cancel((uv_req_t *)&op->req); /* refused when it already runs: then it runs out */
    }
}
