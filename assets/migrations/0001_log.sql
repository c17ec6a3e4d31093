-- Conch's own tables live beside the collections' under names that no collection may have.

CREATE TABLE `__conch_migrations` (
  number  INTEGER PRIMARY KEY,
  name    TEXT NOT NULL,
  applied INTEGER NOT NULL -- milliseconds since 1970-01-01 UTC
);

CREATE TABLE `__conch_meta` (
  key   TEXT PRIMARY KEY NOT NULL,
  value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE `__conch_log` (
  seq              INTEGER PRIMARY KEY,
  collection       TEXT NOT NULL, -- id
  record           TEXT NOT NULL, -- id
  kind             INTEGER NOT NULL, -- 0 create, 1 update, 2 delete
  before           TEXT, -- JSON object by field id
  actor_collection TEXT,
  actor_record     TEXT,
  mutation         TEXT, -- the client's id of the write
  at               INTEGER NOT NULL -- milliseconds since 1970-01-01 UTC
);

-- The history of one record, in order: an index entry ends with the row's seq. A create holds no image, and what it
-- made is told by the record's next change or its row: it needs no entry, which spares every create a page.
CREATE INDEX `__conch_log_record` ON `__conch_log` (collection, record) WHERE kind <> 0;
