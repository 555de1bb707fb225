/* metrics.h -- counters, gauges and histograms, written as Prometheus text.
 *
 * One table in metrics.c lists every series (name, type, help, label names). Counting is an atomic
 * add, so any thread may; a label value is one of the few listed for its series, never free text.
 *
 * Thread  any. */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include "base/buf.h"

/* name: a series of the table; label: one of its values or NULL. Unknown names assert. */
void metric_add(const char *name, const char *label, int64_t delta);
void metric_set(const char *name, const char *label, int64_t value);
void metric_observe_ms(const char *name, int64_t ms);     /* histogram */
int64_t metric_read(const char *name, const char *label); /* tests, /readyz */
int metrics_write(struct buf *out) MUST_USE;

#endif
