-- Steps that several trials share are stored once. Trials whose learning rates agree so far are trained as
-- one, a *stage*; where they part, each goes on in another. `metrics` shows every trial's steps as before,
-- and is a view now.

-- A stretch of steps that was trained once.
CREATE TABLE stages (
    stage_id   INTEGER NOT NULL PRIMARY KEY,
    first_step INTEGER NOT NULL
) STRICT;

-- One row for each step that was trained. SQLite has no NaN: NULL is NaN. Infinity is itself. All other
-- numbers keep their bits, but for the sign of zero.
CREATE TABLE steps (
    stage_id   INTEGER NOT NULL REFERENCES stages,
    step       INTEGER NOT NULL, -- the update, from 0 at the start of the trial
    lr         REAL,             -- that it used; trials that share the step agree in it to single precision
    train_loss REAL,             -- of its batch, before the update
    grad_norm  REAL,             -- 2-norm of the whole gradient, before clipping
    PRIMARY KEY (stage_id, step)
) STRICT, WITHOUT ROWID;

-- Which steps are whose: those of the stage from `first_step` to before `end_step`.
CREATE TABLE trial_stages (
    trial_id   TEXT    NOT NULL REFERENCES trials ON DELETE CASCADE,
    first_step INTEGER NOT NULL,
    end_step   INTEGER NOT NULL, -- the trial's length, until something ends it sooner
    stage_id   INTEGER NOT NULL REFERENCES stages,
    PRIMARY KEY (trial_id, first_step),
    CHECK (first_step < end_step)
) STRICT, WITHOUT ROWID;

CREATE INDEX trial_stages_by_stage ON trial_stages (stage_id, end_step);

-- What a trial saw of the validation set; those that share a step may look at different times.
CREATE TABLE evaluations (
    trial_id   TEXT    NOT NULL REFERENCES trials ON DELETE CASCADE,
    step       INTEGER NOT NULL, -- after this update
    valid_loss REAL,             -- NULL is NaN
    PRIMARY KEY (trial_id, step)
) STRICT, WITHOUT ROWID;

-- What is cut off a trial goes, and so do steps that are no trial's any more: there are as many rows in
-- `steps` as steps were trained.
CREATE TRIGGER trial_stages_shortened AFTER UPDATE OF end_step ON trial_stages
BEGIN
    DELETE FROM evaluations
    WHERE trial_id = old.trial_id AND step >= new.end_step AND step < old.end_step;
    DELETE FROM steps
    WHERE stage_id = old.stage_id
        AND step >= (SELECT max(end_step) FROM trial_stages WHERE stage_id = old.stage_id);
END;

CREATE TRIGGER trial_stages_deleted AFTER DELETE ON trial_stages
BEGIN
    DELETE FROM evaluations
    WHERE trial_id = old.trial_id AND step >= old.first_step AND step < old.end_step;
    DELETE FROM steps
    WHERE stage_id = old.stage_id
        AND step >= coalesce((SELECT max(end_step) FROM trial_stages WHERE stage_id = old.stage_id), 0);
    DELETE FROM stages
    WHERE stage_id = old.stage_id
        AND NOT EXISTS (SELECT 1 FROM trial_stages WHERE stage_id = old.stage_id);
END;

-- Trials trained before now have a stage each.
INSERT INTO stages (stage_id, first_step)
SELECT t.rowid, min(m.step) FROM trials AS t CROSS JOIN metrics AS m ON m.trial_id = t.trial_id
GROUP BY t.rowid;

INSERT INTO steps (stage_id, step, lr, train_loss, grad_norm)
SELECT t.rowid, m.step, m.lr, m.train_loss, m.grad_norm
FROM trials AS t CROSS JOIN metrics AS m ON m.trial_id = t.trial_id
ORDER BY t.rowid, m.step;

INSERT INTO trial_stages (trial_id, first_step, end_step, stage_id)
SELECT t.trial_id, min(m.step), max(m.step) + 1, t.rowid
FROM trials AS t CROSS JOIN metrics AS m ON m.trial_id = t.trial_id
GROUP BY t.rowid;

INSERT INTO evaluations (trial_id, step, valid_loss)
SELECT trial_id, step, valid_loss FROM metrics WHERE valid_loss IS NOT NULL;

DROP TABLE metrics;

-- Every step of every trial. NULL in lr, train_loss and grad_norm is NaN, and in valid_loss it is NaN or,
-- as a rule, a step after which nothing was evaluated. View `curves` builds on this one.
CREATE VIEW metrics AS
SELECT
    g.trial_id, s.step, s.lr, s.train_loss,
    (SELECT e.valid_loss FROM evaluations AS e WHERE e.trial_id = g.trial_id AND e.step = s.step)
        AS valid_loss,
    s.grad_norm
FROM trial_stages AS g
CROSS JOIN steps AS s ON s.stage_id = g.stage_id AND s.step >= g.first_step AND s.step < g.end_step;

-- A step that is changed here changes for all trials that share it.
CREATE TRIGGER metrics_updated INSTEAD OF UPDATE OF lr, train_loss, valid_loss, grad_norm ON metrics
BEGIN
    UPDATE steps SET lr = new.lr, train_loss = new.train_loss, grad_norm = new.grad_norm
    WHERE step = old.step AND stage_id = (
        SELECT stage_id FROM trial_stages
        WHERE trial_id = old.trial_id AND first_step <= old.step AND end_step > old.step
    );
    INSERT OR REPLACE INTO evaluations (trial_id, step, valid_loss)
    SELECT old.trial_id, old.step, new.valid_loss WHERE new.valid_loss IS NOT old.valid_loss;
END;

-- What sharing saved in each sweep. `trials` counts each trial once, however many cells ask for it;
-- `steps_asked` are the steps that these have so far, as if each had been trained alone, and `steps_trained`
-- those that were trained for them. Both grow while the sweep runs; steps lost to a crash are in neither.
CREATE VIEW sharing AS
SELECT
    w.sweep,
    (SELECT count(DISTINCT trial_id) FROM cells WHERE sweep = w.sweep) AS trials,
    (
        SELECT coalesce(sum(steps_done), 0) FROM trials
        WHERE trial_id IN (SELECT trial_id FROM cells WHERE sweep = w.sweep)
    ) AS steps_asked,
    (
        SELECT count(*)
        FROM (
            SELECT stage_id, min(first_step) AS first_step, max(end_step) AS end_step
            FROM trial_stages
            WHERE trial_id IN (SELECT trial_id FROM cells WHERE sweep = w.sweep)
            GROUP BY stage_id
        ) AS n
        CROSS JOIN steps AS s
            ON s.stage_id = n.stage_id AND s.step >= n.first_step AND s.step < n.end_step
    ) AS steps_trained
FROM sweeps AS w;

-- Which trials go on from a file.
CREATE INDEX checkpoints_by_file ON checkpoints (file);
