-- Lrs that successive halving dropped: their runs stay in `cells` and are not ranked. SQLite can't change a CHECK, so the table of decisions is
-- made again.

ALTER TABLE cells ADD COLUMN dropped INTEGER NOT NULL DEFAULT 0 CHECK (dropped IN (0, 1)); -- 1: its lr gets no more seeds

-- Every run that a sweep asks for and compares, once for each schedule, with its result.
DROP VIEW runs;

CREATE VIEW runs AS
SELECT
    c.sweep, c.schedule, c.base_lr, t.config_id, t.seed, c.purpose, t.status, t.steps_done, t.steps,
    t.final_train_loss, t.final_valid_loss, t.valid_accuracy, t.test_loss, t.test_accuracy, t.diverged_at,
    strftime('%Y-%m-%d %H:%M:%S', t.started_at / 1000, 'unixepoch') AS started_at,
    strftime('%Y-%m-%d %H:%M:%S', t.finished_at / 1000, 'unixepoch') AS finished_at,
    c.trial_id, c.position
FROM cells AS c JOIN trials AS t ON t.trial_id = c.trial_id
WHERE c.repeats = 0 AND c.dropped = 0;

CREATE TABLE promotions_with_halving (
    sweep     TEXT    NOT NULL REFERENCES sweeps ON DELETE CASCADE,
    position  INTEGER NOT NULL,
    kind      TEXT    NOT NULL CHECK (kind IN (
        'extended', 'refined', 'chosen', 'continued', 'first', 'worse', 'equivalent', 'futile', 'learned', 'kept', 'left_out', 'survives',
        'dropped', 'restored'
    )),
    schedule  TEXT    NOT NULL,
    steps     INTEGER NOT NULL, -- length of the runs that it is about
    base_lr   REAL    NOT NULL, -- that it is about, or that of the config
    config_id TEXT,             -- that was chosen, or has the lowest predicted loss
    seeds     INTEGER,          -- number of deciding seeds at the look, or of tuning seeds at the halving
    predicted REAL,             -- predicted final loss; NULL without a prediction
    low       REAL,             -- lower end of its 95 % interval
    high      REAL,             -- upper end
    PRIMARY KEY (sweep, position)
) STRICT, WITHOUT ROWID;

INSERT INTO promotions_with_halving (sweep, position, kind, schedule, steps, base_lr, config_id, seeds, predicted, low, high)
SELECT sweep, position, kind, schedule, steps, base_lr, config_id, seeds, predicted, low, high FROM promotions;

DROP TABLE promotions;

ALTER TABLE promotions_with_halving RENAME TO promotions;
