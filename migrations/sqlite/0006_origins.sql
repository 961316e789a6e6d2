-- What a stored result owes to the program that trained it, beyond what its id says.

-- The version of the arithmetic: results of equal numbers are equal to the bit, with other numbers they need not be. NULL where
-- a program of the user's own has trained, or nobody has yet.
ALTER TABLE trials ADD COLUMN bits INTEGER;

-- JSON object: the files that a program of the user's own has loaded beside those that its config names, each with its blake3.
-- NULL where that is not known.
ALTER TABLE trials ADD COLUMN loaded TEXT;

-- All that was trained before had the first one.
UPDATE trials SET bits = 1
WHERE environment_id IS NOT NULL AND json_extract(config, '$.task.trainer') IS NULL;

-- When the ranking of a sweep could be seen with fewer seeds than it has now: its p-values hold for a number of seeds that was
-- fixed before the first look.
CREATE TABLE looks (
    sweep TEXT    NOT NULL REFERENCES sweeps ON DELETE CASCADE,
    seeds INTEGER NOT NULL, -- that judged then
    at    INTEGER NOT NULL, -- when more were asked for
    PRIMARY KEY (sweep, seeds)
) STRICT, WITHOUT ROWID;
