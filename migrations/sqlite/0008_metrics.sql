-- Metrics other than losses: the validation accuracy of each evaluation, and what a custom program reports under names of its
-- own.

-- The last value of each metric of a program's own.
ALTER TABLE trials ADD COLUMN metrics TEXT; -- JSON object: number by name; NULL without any

CREATE TABLE metric_values (
    trial_id TEXT    NOT NULL REFERENCES trials ON DELETE CASCADE,
    name     TEXT    NOT NULL,
    step     INTEGER NOT NULL, -- after this update
    value    REAL,             -- NULL is NaN
    PRIMARY KEY (trial_id, name, step)
) STRICT, WITHOUT ROWID;

-- What is cut off a trial goes, as with its evaluations.
CREATE TRIGGER trial_stages_shortened_metrics AFTER UPDATE OF end_step ON trial_stages
BEGIN
    DELETE FROM metric_values
    WHERE trial_id = old.trial_id AND step >= new.end_step AND step < old.end_step;
END;

CREATE TRIGGER trial_stages_deleted_metrics AFTER DELETE ON trial_stages
BEGIN
    DELETE FROM metric_values
    WHERE trial_id = old.trial_id AND step >= old.first_step AND step < old.end_step;
END;

-- Every value of every run, for plots: as `curves`, with a row for each metric.
CREATE VIEW metric_curves AS
SELECT r.sweep, r.schedule, r.base_lr, r.seed, v.name, v.step, v.value, r.config_id, r.trial_id
FROM runs AS r CROSS JOIN metric_values AS v ON v.trial_id = r.trial_id;
