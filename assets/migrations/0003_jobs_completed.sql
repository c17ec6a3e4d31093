-- Priorities, and what became of runs: src/jobs/.

ALTER TABLE `__conch_jobs` ADD COLUMN priority INTEGER NOT NULL DEFAULT 1 CHECK (priority IN (0, 1, 2)); -- 2 goes first

-- The runner asks for each priority by itself.
DROP INDEX `__conch_jobs_due`;
CREATE INDEX `__conch_jobs_due` ON `__conch_jobs` (kind, priority, due) WHERE state = 'waiting';

-- The newest ended runs of each kind.
CREATE TABLE `__conch_job_runs` (
  id      INTEGER PRIMARY KEY,
  job     INTEGER NOT NULL,
  kind    TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  began   INTEGER NOT NULL, -- milliseconds since 1970-01-01 UTC
  took    INTEGER, -- milliseconds; NULL when the end was never seen
  outcome TEXT NOT NULL CHECK (outcome IN ('done', 'failed', 'dead', 'lost', 'skipped')),
  error   TEXT
);
CREATE INDEX `__conch_job_runs_kind` ON `__conch_job_runs` (kind, id);

-- Recurring jobs have keys that say when they are due; these are added anew.
DELETE FROM `__conch_jobs` WHERE key = 'hourly' AND state = 'waiting';
