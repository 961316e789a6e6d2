-- Which schedules predictions kept or left out, among the other decisions of a sweep. SQLite can't change a CHECK, so the table is made again.

CREATE TABLE promotions_with_screening (
    sweep     TEXT    NOT NULL REFERENCES sweeps ON DELETE CASCADE,
    position  INTEGER NOT NULL,
    kind      TEXT    NOT NULL CHECK (kind IN (
        'extended', 'refined', 'chosen', 'continued', 'first', 'worse', 'equivalent', 'futile', 'learned', 'kept', 'left_out'
    )),
    schedule  TEXT    NOT NULL,
    steps     INTEGER NOT NULL, -- length of the runs that it is about
    base_lr   REAL    NOT NULL, -- that was added, or that of the config
    config_id TEXT,             -- that was chosen, or has the lowest predicted loss
    seeds     INTEGER,          -- number of deciding seeds at the look
    predicted REAL,             -- predicted final loss; NULL without a prediction
    low       REAL,             -- lower end of its 95 % interval
    high      REAL,             -- upper end
    PRIMARY KEY (sweep, position)
) STRICT, WITHOUT ROWID;

INSERT INTO promotions_with_screening (sweep, position, kind, schedule, steps, base_lr, config_id, seeds)
SELECT sweep, position, kind, schedule, steps, base_lr, config_id, seeds FROM promotions;

DROP TABLE promotions;

ALTER TABLE promotions_with_screening RENAME TO promotions;
