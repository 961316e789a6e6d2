-- What each run of a sweep is for, and what a sweep decided on its way: lrs that were added to a grid, and the configs
-- that the tuning seeds chose. Views rank by the runs that judge, and each budget by itself.

ALTER TABLE cells ADD COLUMN purpose TEXT NOT NULL DEFAULT 'all'
    CHECK (purpose IN ('all', 'tune', 'decide')); -- 'tune' chooses a config, 'decide' judges it, 'all' does both

-- In the order in which it was decided.
CREATE TABLE promotions (
    sweep     TEXT    NOT NULL REFERENCES sweeps ON DELETE CASCADE,
    position  INTEGER NOT NULL,
    kind      TEXT    NOT NULL CHECK (kind IN ('extended', 'chosen')),
    schedule  TEXT    NOT NULL,
    steps     INTEGER NOT NULL, -- length of the runs that it is about
    base_lr   REAL    NOT NULL, -- that was added, or that of the chosen config
    config_id TEXT,             -- that was chosen
    PRIMARY KEY (sweep, position)
) STRICT, WITHOUT ROWID;

DROP VIEW pairs;
DROP VIEW best_per_schedule;
DROP VIEW ranking;
DROP VIEW configs;
DROP VIEW runs;

-- Every run that a sweep asks for, once for each schedule, with its result.
CREATE VIEW runs AS
SELECT
    c.sweep, c.schedule, c.base_lr, t.config_id, t.seed, c.purpose, t.status, t.steps_done, t.steps,
    t.final_train_loss, t.final_valid_loss, t.valid_accuracy, t.test_loss, t.test_accuracy, t.diverged_at,
    strftime('%Y-%m-%d %H:%M:%S', t.started_at / 1000, 'unixepoch') AS started_at,
    strftime('%Y-%m-%d %H:%M:%S', t.finished_at / 1000, 'unixepoch') AS finished_at,
    c.trial_id, c.position
FROM cells AS c JOIN trials AS t ON t.trial_id = c.trial_id
WHERE c.repeats = 0;

-- Every config of every schedule of every sweep, over its seeds. `place` orders the configs of a schedule and budget
-- by the runs that choose, 1 is the best: those with results first, then by the share that diverged, then by mean loss,
-- then as in the sweep file. `n`, means and counts are of the runs that judge: the deciding ones, or before any of them
-- has ended those that choose. `position` and `schedule_position` say where they stand in the sweep file.
CREATE VIEW configs AS
WITH decided AS (
    SELECT DISTINCT sweep FROM runs WHERE purpose = 'decide' AND status IN ('done', 'diverged')
),
counted AS (
    SELECT
        sweep, schedule, config_id, steps, min(position) AS position,
        count(CASE WHEN chooses THEN loss END) AS choosing_n,
        coalesce(avg(CASE WHEN chooses THEN loss END), 9e999) AS choosing_loss,
        sum(chooses AND lost) AS choosing_diverged,
        count(CASE WHEN judges THEN loss END) AS n,
        avg(CASE WHEN judges THEN loss END) AS mean_valid_loss,
        sum(judges AND lost) AS diverged,
        sum(judges AND status NOT IN ('done', 'diverged')) AS missing,
        avg(CASE WHEN judges THEN test_loss END) AS mean_test_loss,
        avg(CASE WHEN judges THEN test_accuracy END) AS mean_test_accuracy
    FROM (
        SELECT
            r.*, r.purpose != 'decide' AS chooses,
            r.purpose = 'all' OR (r.purpose = 'decide') = (d.sweep IS NOT NULL) AS judges,
            CASE WHEN r.status = 'done' AND r.final_valid_loss < 9e999 THEN r.final_valid_loss END AS loss,
            -- Done without a finite loss is a divergence that nobody noticed.
            r.status = 'diverged' OR (r.status = 'done' AND coalesce(r.final_valid_loss, 9e999) >= 9e999) AS lost
        FROM runs AS r LEFT JOIN decided AS d ON d.sweep = r.sweep
    )
    GROUP BY sweep, schedule, config_id
),
placed AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY sweep, schedule, steps
            ORDER BY
                choosing_n + choosing_diverged = 0,
                CASE
                    WHEN choosing_n + choosing_diverged = 0 THEN 1.0
                    ELSE 1.0 * choosing_diverged / (choosing_n + choosing_diverged)
                END,
                choosing_loss, position
        ) AS place
    FROM counted
)
SELECT
    k.sweep, k.schedule, k.steps, k.place, k.config_id, c.base_lr, k.n, k.mean_valid_loss, k.diverged, k.missing,
    k.mean_test_loss, k.mean_test_accuracy,
    k.n + k.diverged = 0 AS no_result,
    CASE WHEN k.n + k.diverged = 0 THEN 1.0 ELSE 1.0 * k.diverged / (k.n + k.diverged) END AS diverged_share,
    coalesce(k.mean_valid_loss, 9e999) AS loss_key,
    k.position,
    min(k.position) OVER (PARTITION BY k.sweep, k.schedule) AS schedule_position
FROM placed AS k JOIN cells AS c ON c.sweep = k.sweep AND c.position = k.position;

-- The schedules of each sweep, each at its best config, best mean first, over the longest runs. `sweep rank` says which
-- of these differences are more than chance.
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
    diverged, missing, mean_test_loss, mean_test_accuracy, steps
FROM (
    SELECT
        b.*,
        CASE WHEN b.n > 1 THEN (
            SELECT
                sum((t.final_valid_loss - b.mean_valid_loss) * (t.final_valid_loss - b.mean_valid_loss))
            FROM trials AS t
            WHERE t.config_id = b.config_id AND t.status = 'done' AND t.final_valid_loss < 9e999 AND EXISTS (
                SELECT 1 FROM cells AS c
                WHERE c.trial_id = t.trial_id AND c.sweep = b.sweep AND c.schedule = b.schedule
                    AND (c.purpose = 'all' OR (c.purpose = 'decide') = (d.sweep IS NOT NULL))
            )
        ) / (b.n - 1) END AS variance
    FROM configs AS b
    LEFT JOIN (
        SELECT DISTINCT sweep FROM runs WHERE purpose = 'decide' AND status IN ('done', 'diverged')
    ) AS d ON d.sweep = b.sweep
    WHERE b.place = 1 AND b.steps = (SELECT max(steps) FROM runs AS r WHERE r.sweep = b.sweep)
)
ORDER BY sweep, rank;

-- The single best finished run of each schedule's best config, among those that judge it.
CREATE VIEW best_per_schedule AS
SELECT
    sweep, rank, schedule, config_id, base_lr, seed, final_train_loss, final_valid_loss, valid_accuracy,
    test_loss, test_accuracy, started_at, finished_at, trial_id
FROM (
    SELECT
        k.rank, r.*,
        row_number() OVER (
            PARTITION BY r.sweep, r.schedule ORDER BY r.purpose, r.final_valid_loss, r.position
        ) AS place
    FROM ranking AS k
    CROSS JOIN runs AS r ON r.sweep = k.sweep AND r.schedule = k.schedule AND r.config_id = k.config_id
    WHERE r.status = 'done' AND r.final_valid_loss IS NOT NULL
)
WHERE place = 1
ORDER BY sweep, rank;

-- Two schedules on the same seed, each at its best config; `a` stands before `b` in the sweep file, and a
-- difference above 0 means that `b` is better. The loss of a run that diverged is NULL. `purpose` tells runs that
-- judge from those that chose.
CREATE VIEW pairs AS
WITH ended AS MATERIALIZED (
    SELECT
        r.sweep, r.seed, r.schedule, r.purpose, b.schedule_position,
        CASE WHEN r.status = 'done' THEN r.final_valid_loss END AS loss
    FROM configs AS b
    CROSS JOIN runs AS r ON r.sweep = b.sweep AND r.schedule = b.schedule AND r.config_id = b.config_id
    WHERE b.place = 1 AND b.steps = (SELECT max(steps) FROM runs AS o WHERE o.sweep = b.sweep)
        AND r.status IN ('done', 'diverged')
)
SELECT
    a.sweep, a.seed, a.schedule AS schedule_a, b.schedule AS schedule_b, a.loss AS loss_a, b.loss AS loss_b,
    a.loss - b.loss AS difference, a.purpose
FROM ended AS a JOIN ended AS b ON b.sweep = a.sweep AND b.seed = a.seed AND b.purpose = a.purpose
WHERE a.schedule_position < b.schedule_position
ORDER BY a.sweep, a.schedule_position, b.schedule_position, a.seed;
