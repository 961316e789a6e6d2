-- What a planned look decided about each schedule, among the other decisions of a sweep.

ALTER TABLE promotions DROP CONSTRAINT promotions_kind_check;
ALTER TABLE promotions ADD CONSTRAINT promotions_kind_check
    CHECK (kind IN ('extended', 'chosen', 'continued', 'first', 'worse', 'equivalent', 'futile'));
ALTER TABLE promotions ADD COLUMN seeds BIGINT; -- number of deciding seeds at the look
