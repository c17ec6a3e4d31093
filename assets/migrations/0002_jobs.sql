-- Work that outlives requests and restarts: src/jobs/.

CREATE TABLE `__conch_jobs` (
  id       INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again: an old run must not finish a new job
  kind     TEXT NOT NULL, -- names the handler
  key      TEXT, -- at most one job of a kind waits under a key
  payload  TEXT NOT NULL, -- JSON
  state    TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'dead')),
  due      INTEGER NOT NULL, -- milliseconds since 1970-01-01 UTC, like all times here
  attempts INTEGER NOT NULL DEFAULT 0, -- runs that have begun
  lease    INTEGER, -- while running: nobody else may run it before this time
  error    TEXT, -- why the last run failed
  created  INTEGER NOT NULL,
  ended    INTEGER -- when it died
);

-- One for each question of the runner, so that none of them walks over jobs that it does not ask for.
CREATE INDEX `__conch_jobs_due` ON `__conch_jobs` (kind, due) WHERE state = 'waiting';
CREATE INDEX `__conch_jobs_lease` ON `__conch_jobs` (kind, lease) WHERE state = 'running';
CREATE INDEX `__conch_jobs_dead` ON `__conch_jobs` (kind, id) WHERE state = 'dead';
CREATE UNIQUE INDEX `__conch_jobs_key` ON `__conch_jobs` (kind, key) WHERE state = 'waiting' AND key IS NOT NULL;
