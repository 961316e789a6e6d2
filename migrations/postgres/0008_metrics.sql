-- Metrics other than losses: the validation accuracy of each evaluation, and what a custom program reports under names of its
-- own.

-- JSON object: number by name, the last value of each metric of a program's own. NULL without any.
ALTER TABLE trials ADD COLUMN metrics TEXT COLLATE "C";

CREATE TABLE metric_values (
    trial_id TEXT   COLLATE "C" NOT NULL REFERENCES trials ON DELETE CASCADE,
    name     TEXT   COLLATE "C" NOT NULL,
    step     BIGINT NOT NULL,  -- after this update
    value    DOUBLE PRECISION, -- NULL is NaN
    PRIMARY KEY (trial_id, name, step)
);

-- What is cut off a trial goes, as with its evaluations.
CREATE FUNCTION metric_values_shortened() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    DELETE FROM metric_values
    WHERE trial_id = OLD.trial_id AND step >= NEW.end_step AND step < OLD.end_step;
    RETURN NULL;
END
$$;

CREATE TRIGGER trial_stages_shortened_metrics AFTER UPDATE OF end_step ON trial_stages
FOR EACH ROW EXECUTE FUNCTION metric_values_shortened();

CREATE FUNCTION metric_values_deleted() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    DELETE FROM metric_values
    WHERE trial_id = OLD.trial_id AND step >= OLD.first_step AND step < OLD.end_step;
    RETURN NULL;
END
$$;

CREATE TRIGGER trial_stages_deleted_metrics AFTER DELETE ON trial_stages
FOR EACH ROW EXECUTE FUNCTION metric_values_deleted();

-- Every value of every run, for plots: as `curves`, with a row for each metric.
CREATE VIEW metric_curves AS
SELECT r.sweep, r.schedule, r.base_lr, r.seed, v.name, v.step, v.value, r.config_id, r.trial_id
FROM runs AS r JOIN metric_values AS v ON v.trial_id = r.trial_id;
