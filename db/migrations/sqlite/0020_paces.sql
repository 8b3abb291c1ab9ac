-- +goose Up
-- How often the posts of an account were read: until when that is used up, in milliseconds of Unix time.
CREATE TABLE paces (
    name       VARCHAR(80) NOT NULL PRIMARY KEY,
    used_until BIGINT      NOT NULL
);

-- +goose Down
DROP TABLE paces;
