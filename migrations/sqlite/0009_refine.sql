-- Lrs between those of a grid, among the other decisions of a sweep. SQLite can't change a CHECK, so the table is made again.

CREATE TABLE promotions_with_refined (
    sweep     TEXT    NOT NULL REFERENCES sweeps ON DELETE CASCADE,
    position  INTEGER NOT NULL,
    kind      TEXT    NOT NULL
        CHECK (kind IN ('extended', 'refined', 'chosen', 'continued', 'first', 'worse', 'equivalent', 'futile')),
    schedule  TEXT    NOT NULL,
    steps     INTEGER NOT NULL, -- length of the runs that it is about
    base_lr   REAL    NOT NULL, -- that was added, or that of the chosen config
    config_id TEXT,             -- that was chosen
    seeds     INTEGER,          -- number of deciding seeds at the look
    PRIMARY KEY (sweep, position)
) STRICT, WITHOUT ROWID;

INSERT INTO promotions_with_refined (sweep, position, kind, schedule, steps, base_lr, config_id, seeds)
SELECT sweep, position, kind, schedule, steps, base_lr, config_id, seeds FROM promotions;

DROP TABLE promotions;

ALTER TABLE promotions_with_refined RENAME TO promotions;
