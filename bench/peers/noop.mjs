// noop.mjs -- how many jobs that do nothing a queue on Postgres gets through, each committed as done.
//
//   node noop.mjs graphile-worker|graphile-worker-local|pg-boss JOBS CONNECTIONS BATCH     (DATABASE_URL names an empty database)
//
// Prints one JSON object: {"queue", "jobs", "seconds", "jobs_per_second"}. The clock runs from the first look for work
// until the last job is done; filling the queue is not timed. graphile-worker takes jobs one by one ("local": in
// batches into the process, which is its fast way); pg-boss is driven by fetch and complete, batch by batch, since
// its own polling waits between batches.
import pg from 'pg';
import { Logger, makeWorkerUtils, run } from 'graphile-worker';
import { PgBoss } from 'pg-boss';

const [queue, jobsText, connectionsText, batchText] = process.argv.slice(2);
const jobs = Number(jobsText);
const connections = Number(connectionsText);
const batch = Number(batchText);
const connectionString = process.env.DATABASE_URL;

function seconds(since) {
  return Number(process.hrtime.bigint() - since) / 1e9;
}

async function graphile(local) {
  const logger = new Logger(() => () => {});
  const utils = await makeWorkerUtils({ connectionString, logger });
  await utils.migrate();
  await utils.release();
  const client = new pg.Client(connectionString);
  await client.connect();
  await client.query(
    "SELECT count(graphile_worker.add_job('noop', json_build_object('n', n))) FROM generate_series(1, $1::int) AS n", [jobs]);
  await client.query('VACUUM ANALYZE');
  await client.end();
  let left = jobs;
  let finish;
  const done = new Promise((resolve) => { finish = resolve; });
  const pool = new pg.Pool({ connectionString, max: connections + 2 });
  pool.on('error', (error) => { throw error; });
  pool.on('connect', (one) => { one.on('error', (error) => { throw error; }); });
  const worker = { concurrentJobs: connections, ...(local && { localQueue: { size: batch * connections }, concurrentJobs: batch }) };
  const since = process.hrtime.bigint();
  const runner = await run({ pgPool: pool, logger, noHandleSignals: true, preset: { worker },
    taskList: { noop: async () => { left -= 1; if (left === 0) finish(); } } });
  await done;
  // Done is what the database says is done.
  while ((await pool.query('SELECT count(*)::int AS n FROM graphile_worker._private_jobs')).rows[0].n > 0);
  const took = seconds(since);
  await runner.stop();
  await pool.end();
  return took;
}

async function boss() {
  const b = new PgBoss({ connectionString, max: connections, supervise: false, schedule: false });
  b.on('error', (error) => { throw error; });
  await b.start();
  await b.createQueue('noop');
  for (let at = 0; at < jobs; at += 1000) {
    await b.insert('noop', Array.from({ length: Math.min(1000, jobs - at) }, (_, n) => ({ data: { n: at + n } })));
  }
  let finished = 0;
  const since = process.hrtime.bigint();
  await Promise.all(Array.from({ length: connections }, async () => {
    for (;;) {
      const taken = await b.fetch('noop', { batchSize: batch });
      if (taken.length === 0) return;
      await b.complete('noop', taken.map((job) => job.id));
      finished += taken.length;
    }
  }));
  const took = seconds(since);
  await b.stop({ graceful: false });
  if (finished !== jobs) throw new Error(`${finished} of ${jobs} jobs were done`);
  return took;
}

const took = await (queue === 'pg-boss' ? boss() : graphile(queue === 'graphile-worker-local'));
console.log(JSON.stringify({ queue, jobs, connections, batch, seconds: took, jobs_per_second: jobs / took }));
process.exit(0);
