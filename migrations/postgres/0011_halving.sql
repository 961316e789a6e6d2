-- Lrs that successive halving dropped: their runs stay in `cells` and are not ranked.

ALTER TABLE cells ADD COLUMN dropped BIGINT NOT NULL DEFAULT 0 CHECK (dropped IN (0, 1)); -- 1: its lr gets no more seeds

-- Every run that a sweep asks for and compares, once for each schedule, with its result.
CREATE OR REPLACE VIEW runs AS
SELECT
    c.sweep, c.schedule, c.base_lr, t.config_id, t.seed, c.purpose, t.status, t.steps_done, t.steps,
    t.final_train_loss, t.final_valid_loss, t.valid_accuracy, t.test_loss, t.test_accuracy, t.diverged_at,
    to_char(to_timestamp(t.started_at / 1000) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS started_at,
    to_char(to_timestamp(t.finished_at / 1000) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS finished_at,
    c.trial_id, c.position
FROM cells AS c JOIN trials AS t ON t.trial_id = c.trial_id
WHERE c.repeats = 0 AND c.dropped = 0;

ALTER TABLE promotions DROP CONSTRAINT promotions_kind_check;
ALTER TABLE promotions ADD CONSTRAINT promotions_kind_check CHECK (kind IN (
    'extended', 'refined', 'chosen', 'continued', 'first', 'worse', 'equivalent', 'futile', 'learned', 'kept', 'left_out', 'survives',
    'dropped', 'restored'
));
