-- The sweep database. Made for people too: open it with any SQLite shell of version 3.37 or newer, also
-- while a sweep runs. Times are UTC in milliseconds since 1970; the views show them as text. Where a view
-- says CROSS JOIN, SQLite must begin with the left side, which is small, whatever its planner guesses.

CREATE TABLE sweeps (
    sweep      TEXT    NOT NULL PRIMARY KEY, -- the sweep's name
    file_text  TEXT    NOT NULL,             -- the sweep file, as it was run last
    created_at INTEGER NOT NULL,             -- when it was run first
    updated_at INTEGER NOT NULL              -- when it was run last
) STRICT;

-- What a result's bits may depend on besides the configuration.
CREATE TABLE environments (
    environment_id INTEGER NOT NULL PRIMARY KEY,
    version        TEXT    NOT NULL, -- of this program
    git_commit     TEXT    NOT NULL, -- empty where it is not known
    cpu            TEXT    NOT NULL,
    cpu_features   TEXT    NOT NULL,
    threads        INTEGER NOT NULL, -- that the machine runs at the same time
    device         TEXT    NOT NULL, -- that trained
    os             TEXT    NOT NULL,
    UNIQUE (version, git_commit, cpu, cpu_features, threads, device, os)
) STRICT;

-- One training run. The same run asked for twice, in two sweeps or under two names, is one trial.
CREATE TABLE trials (
    trial_id         TEXT    NOT NULL PRIMARY KEY, -- hash of everything that determines the result
    sweep            TEXT    NOT NULL,             -- that asked first; table `cells` has all
    schedule         TEXT    NOT NULL,             -- that asked first
    config_id        TEXT    NOT NULL,             -- the same for all seeds
    base_lr          REAL    NOT NULL,             -- of the schedule that asked first
    seed             INTEGER NOT NULL,
    status           TEXT    NOT NULL DEFAULT 'queued'
                     CHECK (status IN ('queued', 'running', 'done', 'diverged', 'failed', 'stopped')),
    steps            INTEGER NOT NULL,             -- length of the run
    steps_done       INTEGER NOT NULL DEFAULT 0,   -- steps whose rows are in `metrics`
    final_train_loss REAL,                         -- loss of the last batch
    final_valid_loss REAL,                         -- after the last step: what the ranking compares
    valid_accuracy   REAL,                         -- 0 to 1
    test_loss        REAL,                         -- never used to choose
    test_accuracy    REAL,                         -- 0 to 1; never used to choose
    diverged_at      INTEGER,                      -- the step whose loss showed it
    diverged_loss    REAL,                         -- that loss; NULL in a diverged trial is NaN
    digest           TEXT,                         -- fingerprint of lr and loss of every step
    weights_hash     TEXT,                         -- fingerprint of the final weights
    error            TEXT,                         -- why it failed
    attempts         INTEGER NOT NULL DEFAULT 0,   -- how often a worker took it up
    environment_id   INTEGER REFERENCES environments,
    started_at       INTEGER,                      -- when it was taken up first
    finished_at      INTEGER,
    -- Last, because long values stand on pages of their own, which short queries then never read.
    axes             TEXT    NOT NULL,             -- JSON object: this config's value on each axis
    config           TEXT    NOT NULL              -- JSON object: the whole configuration but the seed
) STRICT;

-- For the spread over seeds: all trials of a config.
CREATE INDEX trials_by_config ON trials (config_id, seed);

-- What each sweep asks for, in the order of training.
CREATE TABLE cells (
    sweep    TEXT    NOT NULL REFERENCES sweeps ON DELETE CASCADE,
    position INTEGER NOT NULL,
    schedule TEXT    NOT NULL, -- the name in this sweep
    base_lr  REAL    NOT NULL, -- in this sweep
    trial_id TEXT    NOT NULL REFERENCES trials,
    repeats  INTEGER NOT NULL CHECK (repeats IN (0, 1)), -- 1: an earlier cell of this schedule asks for
                                                         -- the same trial, which is counted once
    PRIMARY KEY (sweep, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX cells_by_trial ON cells (trial_id);

-- One row for each step. SQLite has no NaN: NULL in lr, train_loss and grad_norm is NaN, and in
-- valid_loss it is NaN or, as a rule, a step after which nothing was evaluated. Infinity is itself. All
-- other numbers keep their bits, but for the sign of zero.
CREATE TABLE metrics (
    trial_id   TEXT    NOT NULL REFERENCES trials ON DELETE CASCADE,
    step       INTEGER NOT NULL, -- the update, from 0
    lr         REAL,             -- that it used
    train_loss REAL,             -- of its batch, before the update
    valid_loss REAL,             -- after the update
    grad_norm  REAL,             -- 2-norm of the whole gradient, before clipping
    PRIMARY KEY (trial_id, step)
) STRICT, WITHOUT ROWID;

-- Where an unfinished trial can go on: the newest checkpoint of each.
CREATE TABLE checkpoints (
    trial_id   TEXT    NOT NULL PRIMARY KEY REFERENCES trials ON DELETE CASCADE,
    step       INTEGER NOT NULL, -- the first step that is not in it
    file       TEXT    NOT NULL, -- name within the folder of checkpoints
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Every run that a sweep asks for, once for each schedule, with its result.
CREATE VIEW runs AS
SELECT
    c.sweep, c.schedule, c.base_lr, t.config_id, t.seed, t.status, t.steps_done, t.steps,
    t.final_train_loss, t.final_valid_loss, t.valid_accuracy, t.test_loss, t.test_accuracy, t.diverged_at,
    strftime('%Y-%m-%d %H:%M:%S', t.started_at / 1000, 'unixepoch') AS started_at,
    strftime('%Y-%m-%d %H:%M:%S', t.finished_at / 1000, 'unixepoch') AS finished_at,
    c.trial_id, c.position
FROM cells AS c JOIN trials AS t ON t.trial_id = c.trial_id
WHERE c.repeats = 0;

-- Every config of every schedule of every sweep, over its seeds. `place` orders the configs of a schedule,
-- 1 is the best: those with results first, then by the share that diverged, then by mean loss, then as in
-- the sweep file. `position` and `schedule_position` say where they stand there.
CREATE VIEW configs AS
WITH counted AS (
    SELECT
        sweep, schedule, config_id, min(position) AS position,
        count(CASE WHEN status = 'done' THEN final_valid_loss END) AS n,
        avg(CASE WHEN status = 'done' THEN final_valid_loss END) AS mean_valid_loss,
        -- Done with NULL is a NaN that nobody noticed.
        sum(status = 'diverged' OR (status = 'done' AND final_valid_loss IS NULL)) AS diverged,
        sum(status NOT IN ('done', 'diverged')) AS missing,
        avg(test_loss) AS mean_test_loss,
        avg(test_accuracy) AS mean_test_accuracy
    FROM runs
    GROUP BY sweep, schedule, config_id
),
keyed AS (
    SELECT
        *,
        n + diverged = 0 AS no_result,
        CASE WHEN n + diverged = 0 THEN 1.0 ELSE 1.0 * diverged / (n + diverged) END AS diverged_share,
        coalesce(mean_valid_loss, 9e999) AS loss_key
    FROM counted
)
SELECT
    k.sweep, k.schedule,
    row_number() OVER (
        PARTITION BY k.sweep, k.schedule
        ORDER BY k.no_result, k.diverged_share, k.loss_key, k.position
    ) AS place,
    k.config_id, c.base_lr, k.n, k.mean_valid_loss, k.diverged, k.missing, k.mean_test_loss,
    k.mean_test_accuracy, k.no_result, k.diverged_share, k.loss_key, k.position,
    min(k.position) OVER (PARTITION BY k.sweep, k.schedule) AS schedule_position
FROM keyed AS k JOIN cells AS c ON c.sweep = k.sweep AND c.position = k.position;

-- The schedules of each sweep, each at its best config, best first.
CREATE VIEW ranking AS
SELECT
    sweep,
    row_number() OVER (
        PARTITION BY sweep ORDER BY no_result, diverged_share, loss_key, schedule_position
    ) AS rank,
    schedule, config_id, base_lr, n, mean_valid_loss,
    -- The square root by Newton's method, from above: not every SQLite has sqrt().
    CASE WHEN variance <= 0 THEN variance ELSE (
        WITH RECURSIVE root (x) AS (
            SELECT max(variance, 1.0)
            UNION ALL
            SELECT (x + variance / x) / 2 FROM root WHERE (x + variance / x) / 2 < x
        )
        SELECT min(x) FROM root WHERE variance < 9e999
    ) END AS sd_valid_loss,
    diverged, missing, mean_test_loss, mean_test_accuracy
FROM (
    SELECT
        *,
        CASE WHEN n > 1 THEN (
            SELECT
                sum((t.final_valid_loss - b.mean_valid_loss) * (t.final_valid_loss - b.mean_valid_loss))
            FROM trials AS t
            WHERE t.config_id = b.config_id AND t.status = 'done' AND EXISTS (
                SELECT 1 FROM cells AS c
                WHERE c.trial_id = t.trial_id AND c.sweep = b.sweep AND c.schedule = b.schedule
            )
        ) / (n - 1) END AS variance
    FROM configs AS b
    WHERE place = 1
)
ORDER BY sweep, rank;

-- The single best finished run of each schedule's best config.
CREATE VIEW best_per_schedule AS
SELECT
    sweep, rank, schedule, config_id, base_lr, seed, final_train_loss, final_valid_loss, valid_accuracy,
    test_loss, test_accuracy, started_at, finished_at, trial_id
FROM (
    SELECT
        k.rank, r.*,
        row_number() OVER (PARTITION BY r.sweep, r.schedule ORDER BY r.final_valid_loss, r.position) AS place
    FROM ranking AS k
    CROSS JOIN runs AS r ON r.sweep = k.sweep AND r.schedule = k.schedule AND r.config_id = k.config_id
    WHERE r.status = 'done' AND r.final_valid_loss IS NOT NULL
)
WHERE place = 1
ORDER BY sweep, rank;

-- Every step of every run, for plots.
CREATE VIEW curves AS
SELECT
    r.sweep, r.schedule, r.base_lr, r.seed, m.step, m.lr, m.train_loss, m.valid_loss, m.grad_norm,
    r.config_id, r.trial_id
FROM runs AS r CROSS JOIN metrics AS m ON m.trial_id = r.trial_id;

-- Two schedules on the same seed, each at its best config; `a` stands before `b` in the sweep file, and a
-- difference above 0 means that `b` is better. The loss of a run that diverged is NULL.
CREATE VIEW pairs AS
WITH ended AS MATERIALIZED (
    SELECT
        r.sweep, r.seed, r.schedule, b.schedule_position,
        CASE WHEN r.status = 'done' THEN r.final_valid_loss END AS loss
    FROM configs AS b
    CROSS JOIN runs AS r ON r.sweep = b.sweep AND r.schedule = b.schedule AND r.config_id = b.config_id
    WHERE b.place = 1 AND r.status IN ('done', 'diverged')
)
SELECT
    a.sweep, a.seed, a.schedule AS schedule_a, b.schedule AS schedule_b, a.loss AS loss_a, b.loss AS loss_b,
    a.loss - b.loss AS difference
FROM ended AS a JOIN ended AS b ON b.sweep = a.sweep AND b.seed = a.seed
WHERE a.schedule_position < b.schedule_position
ORDER BY a.sweep, a.schedule_position, b.schedule_position, a.seed;
