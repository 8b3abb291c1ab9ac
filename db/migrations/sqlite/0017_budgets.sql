-- +goose Up
-- The limit that a call counts towards, as in tiktok:7/init. Calls of the previous release have
-- none, and are not counted.
ALTER TABLE ledger ADD COLUMN budget VARCHAR(80);
CREATE INDEX ledger_budget ON ledger (budget, created_at) WHERE budget IS NOT NULL;

-- +goose Down
DROP INDEX ledger_budget;
ALTER TABLE ledger DROP COLUMN budget;
