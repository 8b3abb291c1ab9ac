-- +goose Up
-- How many turns an app has where others have one.
ALTER TABLE apps ADD COLUMN weight INT NOT NULL DEFAULT 1;
-- The posts that wait for their time or for their app's turn, those that may be live and wait
-- for the next poll of the platform, the waiting posts of a lane, and what an app has in Asynq.
CREATE INDEX posts_turn ON posts (step, app_id, run_at, id) WHERE admission = 'waiting' AND status IN ('scheduled', 'queued');
CREATE INDEX posts_poll ON posts (run_at) WHERE admission = 'waiting' AND status IN ('publishing', 'processing', 'uncertain', 'published');
CREATE INDEX posts_waiting_lane ON posts (lane, run_at) WHERE admission = 'waiting';
CREATE INDEX posts_admitted_app ON posts (step, app_id, run_at) WHERE admission = 'admitted' AND status IN ('scheduled', 'queued', 'publishing');

-- +goose Down
DROP INDEX posts_admitted_app;
DROP INDEX posts_waiting_lane;
DROP INDEX posts_poll;
DROP INDEX posts_turn;
ALTER TABLE apps DROP COLUMN weight;
