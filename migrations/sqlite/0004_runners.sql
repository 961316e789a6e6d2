-- Several processes can train for one store. Each run of one is a *runner*; a trial that it is about to train is leased to
-- it, and all it writes is refused from the moment another one has taken over its trials.

CREATE TABLE runners (
    runner_id  INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, -- grows, and is never given twice
    sweep      TEXT,                       -- what it trains; NULL before it says so
    host       TEXT    NOT NULL,
    pid        INTEGER NOT NULL,
    beat       INTEGER NOT NULL DEFAULT 0, -- grows as long as it lives: others need no common clock
    idle       INTEGER NOT NULL DEFAULT 0 CHECK (idle IN (0, 1)), -- 1: it waits for trials that others have
    started_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL,           -- the last beat, by its own clock
    ended_at   INTEGER,                    -- NULL: it may write
    taken_over_by INTEGER REFERENCES runners -- who ended it, where it did not do so itself
) STRICT;

CREATE INDEX runners_at_work ON runners (runner_id) WHERE ended_at IS NULL;

-- Who trains what now.
CREATE TABLE leases (
    trial_id  TEXT    NOT NULL PRIMARY KEY REFERENCES trials ON DELETE CASCADE,
    runner_id INTEGER NOT NULL REFERENCES runners
) STRICT, WITHOUT ROWID;

CREATE INDEX leases_by_runner ON leases (runner_id);
