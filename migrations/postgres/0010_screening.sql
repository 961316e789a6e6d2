-- Which schedules predictions kept or left out, among the other decisions of a sweep.

ALTER TABLE promotions DROP CONSTRAINT promotions_kind_check;
ALTER TABLE promotions ADD CONSTRAINT promotions_kind_check CHECK (kind IN (
    'extended', 'refined', 'chosen', 'continued', 'first', 'worse', 'equivalent', 'futile', 'learned', 'kept', 'left_out'
));
ALTER TABLE promotions ADD COLUMN predicted DOUBLE PRECISION; -- predicted final loss; NULL without a prediction
ALTER TABLE promotions ADD COLUMN low       DOUBLE PRECISION; -- lower end of its 95 % interval
ALTER TABLE promotions ADD COLUMN high      DOUBLE PRECISION; -- upper end
