-- Lrs between those of a grid, among the other decisions of a sweep.

ALTER TABLE promotions DROP CONSTRAINT promotions_kind_check;
ALTER TABLE promotions ADD CONSTRAINT promotions_kind_check
    CHECK (kind IN ('extended', 'refined', 'chosen', 'continued', 'first', 'worse', 'equivalent', 'futile'));
