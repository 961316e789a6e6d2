-- Work is handed out in *stage groups*: the trials of a sweep that share their first step, so that what they share is trained
-- once, wherever that is. Who trained what, and where; results that a second machine has checked.

-- The group of a cell's trial, numbered in the order of training.
ALTER TABLE cells ADD COLUMN stage_group BIGINT NOT NULL DEFAULT 0;

-- What claims lock, one row for each group, so that many can claim at the same time. `leases` says who has which trial.
CREATE TABLE stage_groups (
    sweep       TEXT COLLATE "C" NOT NULL REFERENCES sweeps ON DELETE CASCADE,
    stage_group BIGINT NOT NULL,
    runner_id   BIGINT REFERENCES runners, -- who took it; NULL: nobody did, or whoever did has let go of it
    PRIMARY KEY (sweep, stage_group)
);

CREATE INDEX stage_groups_free ON stage_groups (sweep, stage_group) WHERE runner_id IS NULL;
CREATE INDEX stage_groups_by_runner ON stage_groups (runner_id) WHERE runner_id IS NOT NULL;
CREATE INDEX cells_by_group ON cells (sweep, stage_group);

-- What is registered by now is a group for each cell, until its sweep is run again.
UPDATE cells SET stage_group = position;
INSERT INTO stage_groups (sweep, stage_group) SELECT sweep, stage_group FROM cells;

-- Those that are still to be trained: few, in a sweep that is nearly over.
CREATE INDEX trials_open ON trials (trial_id) WHERE status NOT IN ('done', 'diverged', 'failed');

-- The machine that trained a trial, or took it up last.
ALTER TABLE trials ADD COLUMN host TEXT COLLATE "C";

ALTER TABLE runners ADD COLUMN lease_ms BIGINT NOT NULL DEFAULT 30000; -- silent for longer it counts as dead
ALTER TABLE runners ADD COLUMN workers BIGINT NOT NULL DEFAULT 1;      -- threads that train; 0: it only coordinates
ALTER TABLE runners ADD COLUMN job TEXT COLLATE "C";                   -- of Slurm, as in 1234_5

-- Finished trials that are trained once more on another machine, to see that the bits are the same there.
CREATE TABLE verifications (
    trial_id       TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES trials ON DELETE CASCADE,
    runner_id      BIGINT NOT NULL REFERENCES runners, -- who does it
    host           TEXT COLLATE "C" NOT NULL,
    environment_id BIGINT NOT NULL REFERENCES environments,
    same           BIGINT CHECK (same IN (0, 1)),      -- whether every bit was; NULL: not ended yet
    digest         TEXT COLLATE "C",                   -- that it found
    weights_hash   TEXT COLLATE "C",
    checked_at     BIGINT
);
