-- The code graph, the memory of failures and the record of the runs that filled them.
-- Lines are 0-based, columns are 0-based UTF-8 bytes, times are seconds since the epoch (UTC).

CREATE TABLE workspace (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    root       TEXT NOT NULL UNIQUE,
    created_at REAL NOT NULL,
    indexed_at REAL  -- end of the last run that went through; NULL: the first one has not
) STRICT;

CREATE TABLE file (
    id           INTEGER PRIMARY KEY,
    workspace_id INTEGER NOT NULL REFERENCES workspace,
    path         TEXT NOT NULL,
    language     TEXT NOT NULL,
    size         INTEGER NOT NULL,
    mtime_ns     INTEGER NOT NULL,
    inode        INTEGER NOT NULL,
    digest       BLOB NOT NULL,
    is_ascii     INTEGER NOT NULL,
    symbols      INTEGER NOT NULL,  -- how many it has: to be added up, since to count them takes long
    module       TEXT NOT NULL,  -- the longest name that it may be imported by: 'src/pkg/mod/'
    faces        BLOB,  -- MessagePack {name: model.Face}
    import_sites BLOB,  -- MessagePack [[line, column], ...]
    canary       BLOB,  -- MessagePack of model.Canary
    UNIQUE (workspace_id, path)
) STRICT;

CREATE INDEX file_module ON file (workspace_id, module);
CREATE INDEX file_language ON file (workspace_id, language, path);

-- How much there is in each language, kept by the database itself; `enrichd verify` counts it anew.
CREATE TABLE language_count (
    workspace_id INTEGER NOT NULL REFERENCES workspace ON DELETE CASCADE,
    language     TEXT NOT NULL,
    files        INTEGER NOT NULL,
    symbols      INTEGER NOT NULL,
    modules      INTEGER NOT NULL,  -- files with symbols: the first of them is the module
    PRIMARY KEY (workspace_id, language)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER file_came AFTER INSERT ON file BEGIN
    INSERT INTO language_count
    VALUES (NEW.workspace_id, NEW.language, 1, NEW.symbols, NEW.symbols > 0)
    ON CONFLICT DO UPDATE SET files = files + 1, symbols = symbols + excluded.symbols,
        modules = modules + excluded.modules;
END;
CREATE TRIGGER file_went AFTER DELETE ON file BEGIN
    UPDATE language_count SET files = files - 1, symbols = symbols - OLD.symbols,
        modules = modules - (OLD.symbols > 0)
    WHERE workspace_id = OLD.workspace_id AND language = OLD.language;
END;
CREATE TRIGGER file_changed AFTER UPDATE OF workspace_id, language, symbols ON file
WHEN (OLD.workspace_id, OLD.language, OLD.symbols)
    IS NOT (NEW.workspace_id, NEW.language, NEW.symbols) BEGIN
    UPDATE language_count SET files = files - 1, symbols = symbols - OLD.symbols,
        modules = modules - (OLD.symbols > 0)
    WHERE workspace_id = OLD.workspace_id AND language = OLD.language;
    INSERT INTO language_count
    VALUES (NEW.workspace_id, NEW.language, 1, NEW.symbols, NEW.symbols > 0)
    ON CONFLICT DO UPDATE SET files = files + 1, symbols = symbols + excluded.symbols,
        modules = modules + excluded.modules;
END;

CREATE TABLE parse_result (
    file_id     INTEGER PRIMARY KEY REFERENCES file ON DELETE CASCADE,
    status      TEXT NOT NULL,
    error_lines TEXT NOT NULL,  -- JSON array, 1-based, the first ten
    error_count INTEGER NOT NULL,
    lost_bytes  INTEGER NOT NULL,
    message     TEXT NOT NULL,
    parsed_at   REAL NOT NULL
) STRICT;
CREATE INDEX parse_result_not_whole ON parse_result (file_id, status) WHERE status <> 'ok';

-- Source in languages that are known by name only, as the last look at everything found it.
CREATE TABLE unsupported_file (
    workspace_id INTEGER NOT NULL REFERENCES workspace,
    path         TEXT NOT NULL,
    language     TEXT NOT NULL,
    found_at     REAL NOT NULL,
    PRIMARY KEY (workspace_id, path)
) STRICT, WITHOUT ROWID;

-- Symbols 1 and 2 are the sentinels that explicit outcomes point at. An id is never given twice:
-- a late answer about a symbol that is gone must not be taken for one about another.
CREATE TABLE symbol (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    workspace_id   INTEGER REFERENCES workspace,
    file_id        INTEGER REFERENCES file,  -- NULL: outside the workspace
    parent_id      INTEGER REFERENCES symbol,
    language       TEXT NOT NULL,
    uid            TEXT NOT NULL,
    name           TEXT NOT NULL,
    qualified_name TEXT NOT NULL,
    kind           TEXT NOT NULL,
    line           INTEGER NOT NULL,
    "column"       INTEGER NOT NULL,
    start_line     INTEGER NOT NULL,
    start_column   INTEGER NOT NULL,
    end_line       INTEGER NOT NULL,
    end_column     INTEGER NOT NULL,
    overload       INTEGER NOT NULL,
    digest         BLOB NOT NULL,
    face           BLOB NOT NULL,
    bindings       BLOB,     -- MessagePack [[line, column], ...]: where the name is bound again
    implied        INTEGER NOT NULL DEFAULT 0,  -- 1: used without being named
    revision       INTEGER NOT NULL,  -- an answer found for an older revision is dropped
    rank           INTEGER NOT NULL,  -- order of service among orphans
    pending        INTEGER NOT NULL,  -- operations without an outcome, as bits
    failed         INTEGER NOT NULL   -- 1: has a row in failure, the tracker says when
) STRICT;
CREATE UNIQUE INDEX symbol_uid ON symbol (workspace_id, uid);
CREATE INDEX symbol_name ON symbol (name);
CREATE INDEX symbol_qualified_name ON symbol (qualified_name) WHERE qualified_name <> name;
CREATE INDEX symbol_file ON symbol (file_id);
CREATE INDEX symbol_parent ON symbol (parent_id, name);
CREATE INDEX symbol_orphan ON symbol (workspace_id, language, rank, file_id)
    WHERE pending <> 0 AND failed = 0;

INSERT INTO symbol VALUES
    (1, NULL, NULL, NULL, '', 'none', 'none', 'none', 'sentinel', 0, 0, 0, 0, 0, 0, 0, x'', x'', NULL, 0, 0, 0, 0, 0),
    (2, NULL, NULL, NULL, '', 'error', 'error', 'error', 'sentinel', 0, 0, 0, 0, 0, 0, 0, x'', x'', NULL, 0, 0, 0, 0, 0);

CREATE TABLE site (
    symbol_id INTEGER PRIMARY KEY REFERENCES symbol ON DELETE CASCADE,
    data      BLOB NOT NULL  -- MessagePack of list[model.Site]
) STRICT;

-- What came of a symbol that has sites and all its outcomes; one without a row is looked at itself.
CREATE TABLE settled (
    symbol_id    INTEGER PRIMARY KEY REFERENCES symbol ON DELETE CASCADE,
    workspace_id INTEGER NOT NULL,
    at           REAL NOT NULL,     -- of its newest answer
    origin_id    INTEGER NOT NULL,  -- of that
    unresolved   BLOB               -- MessagePack {name: how many of its sites led nowhere}
) STRICT;

-- Which symbols' bodies mention a name: whom to ask again when the name appears, goes or changes.
CREATE TABLE mention (
    name      TEXT NOT NULL,
    symbol_id INTEGER NOT NULL REFERENCES symbol,
    PRIMARY KEY (name, symbol_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX mention_symbol ON mention (symbol_id);

CREATE TABLE alias (
    original TEXT NOT NULL,
    alias    TEXT NOT NULL,
    file_id  INTEGER NOT NULL REFERENCES file ON DELETE CASCADE,
    PRIMARY KEY (original, alias, file_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX alias_file ON alias (file_id);

-- In this file the type of `onto` rests on what the name means: see model.Flow.
CREATE TABLE flow (
    name    TEXT NOT NULL,
    onto    TEXT NOT NULL,
    file_id INTEGER NOT NULL REFERENCES file ON DELETE CASCADE,
    loose   INTEGER NOT NULL,
    called  INTEGER NOT NULL,
    PRIMARY KEY (name, file_id, onto, loose)
) STRICT, WITHOUT ROWID;
CREATE INDEX flow_file ON flow (file_id);

CREATE TABLE origin (
    id      INTEGER PRIMARY KEY,
    server  TEXT NOT NULL,
    version TEXT NOT NULL,
    UNIQUE (server, version)
) STRICT;

-- relation '' belongs to the edges to the sentinels. operation 'syntax' belongs to edges that
-- follow from other facts and settle no operation (overrides).
CREATE TABLE edge (
    source    INTEGER NOT NULL REFERENCES symbol,
    operation TEXT NOT NULL,
    target    INTEGER NOT NULL REFERENCES symbol,
    relation  TEXT NOT NULL,
    line      INTEGER NOT NULL,
    "column"  INTEGER NOT NULL,
    origin_id INTEGER NOT NULL REFERENCES origin,
    by_syntax INTEGER NOT NULL,
    unparsed  INTEGER NOT NULL,
    at        REAL NOT NULL,
    reason    TEXT NOT NULL,
    PRIMARY KEY (source, operation, target, relation, line, "column")
) STRICT, WITHOUT ROWID;
CREATE INDEX edge_target ON edge (target, relation);

-- Counts that would otherwise need a scan; `enrichd verify` counts them anew.
CREATE TABLE tally (
    workspace_id INTEGER NOT NULL REFERENCES workspace,
    what         TEXT NOT NULL,  -- a relation, or 'outcome:edges', 'outcome:none', 'outcome:error'
    n            INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, what)
) STRICT, WITHOUT ROWID;

CREATE TABLE failure (
    symbol_id       INTEGER PRIMARY KEY REFERENCES symbol ON DELETE CASCADE,
    attempts        INTEGER NOT NULL,
    last_attempt_at REAL NOT NULL,
    next_retry_at   REAL,  -- NULL: skipped for good
    operations      INTEGER NOT NULL,
    reason          TEXT NOT NULL,
    server          TEXT NOT NULL
) STRICT;
CREATE INDEX failure_skipped ON failure (symbol_id) WHERE next_retry_at IS NULL;

-- What the server of a lane is asked for: profile and declared capabilities put together.
CREATE TABLE requirement (
    workspace_id INTEGER NOT NULL REFERENCES workspace,
    language     TEXT NOT NULL,
    server       TEXT NOT NULL,
    version      TEXT NOT NULL,  -- '' until it has started once
    settings     TEXT NOT NULL,  -- digest of its configuration
    operations   INTEGER NOT NULL,
    by_bodies    INTEGER NOT NULL,  -- 1: concludes from a function's body what it returns
    PRIMARY KEY (workspace_id, language)
) STRICT, WITHOUT ROWID;

-- What a server finds around a workspace's files when it starts: its configuration, its roots.
CREATE TABLE surroundings (
    workspace_id INTEGER NOT NULL REFERENCES workspace,
    language     TEXT NOT NULL,
    digest       TEXT NOT NULL,
    PRIMARY KEY (workspace_id, language)
) STRICT, WITHOUT ROWID;

CREATE TABLE job (
    id            TEXT PRIMARY KEY,
    workspace_id  INTEGER NOT NULL REFERENCES workspace,
    kind          TEXT NOT NULL,
    status        TEXT NOT NULL,
    stage         TEXT,
    error_message TEXT,
    files_total   INTEGER NOT NULL DEFAULT 0,
    files_indexed INTEGER NOT NULL DEFAULT 0,
    files_failed  INTEGER NOT NULL DEFAULT 0,
    symbols_found INTEGER NOT NULL DEFAULT 0,
    warnings      INTEGER NOT NULL DEFAULT 0,
    languages     TEXT NOT NULL DEFAULT '{}',  -- JSON: files by language
    request       TEXT,  -- JSON of jobs.JobRequest; NULL: nobody asked for it
    plan          TEXT NOT NULL DEFAULT '[]',  -- JSON: the stages that it goes through
    owner         TEXT NOT NULL,
    lease_until   REAL NOT NULL,
    created_at    REAL NOT NULL,
    started_at    REAL,
    completed_at  REAL
) STRICT;
CREATE INDEX job_workspace ON job (workspace_id, created_at);
CREATE INDEX job_open ON job (status) WHERE completed_at IS NULL;

-- What happened to jobs, with what was true of each then. A sequence number is never given twice.
CREATE TABLE job_event (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id       TEXT NOT NULL REFERENCES job ON DELETE CASCADE,
    at           REAL NOT NULL,
    event        TEXT NOT NULL,  -- status, stage, progress, log
    level        TEXT NOT NULL,
    message      TEXT NOT NULL,
    status       TEXT NOT NULL,
    stage        TEXT,
    processed    INTEGER NOT NULL,
    total        INTEGER NOT NULL,
    current_item TEXT NOT NULL
) STRICT;
CREATE INDEX job_event_job ON job_event (job_id, seq);

CREATE TABLE job_stage (
    job_id       TEXT NOT NULL REFERENCES job ON DELETE CASCADE,
    stage        TEXT NOT NULL,
    started_at   REAL NOT NULL,
    completed_at REAL,
    processed    INTEGER NOT NULL,
    total        INTEGER NOT NULL,
    current_item TEXT NOT NULL,
    PRIMARY KEY (job_id, stage)
) STRICT, WITHOUT ROWID;

-- How the files of a workspace stood after each run.
CREATE TABLE parse_history (
    job_id       TEXT PRIMARY KEY REFERENCES job ON DELETE CASCADE,
    workspace_id INTEGER NOT NULL REFERENCES workspace,
    at           REAL NOT NULL,
    commit_id    TEXT,  -- of the repository, where there is one
    ok           INTEGER NOT NULL,
    partial      INTEGER NOT NULL,
    error        INTEGER NOT NULL,
    unsupported  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX parse_history_at ON parse_history (workspace_id, at);

CREATE TABLE indexing_error (
    id           INTEGER PRIMARY KEY,
    workspace_id INTEGER NOT NULL REFERENCES workspace,
    path         TEXT NOT NULL,
    error_type   TEXT NOT NULL,
    stage        TEXT NOT NULL,
    language     TEXT NOT NULL,
    message      TEXT NOT NULL,
    traceback    TEXT NOT NULL,
    recoverable  INTEGER NOT NULL,
    status       TEXT NOT NULL,  -- open, resolved, ignored
    fingerprint  BLOB NOT NULL,
    count        INTEGER NOT NULL,
    first_seen   REAL NOT NULL,
    last_seen    REAL NOT NULL,
    UNIQUE (workspace_id, fingerprint)
) STRICT;
CREATE INDEX indexing_error_open ON indexing_error (workspace_id, path) WHERE status = 'open';

-- What symbols mean, as vectors. Empty unless embeddings are configured.
CREATE TABLE embedding_model (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL,
    version    TEXT NOT NULL UNIQUE,  -- digest of all that decides what comes out
    dimensions INTEGER NOT NULL
) STRICT;

CREATE TABLE embedding (
    symbol_id INTEGER PRIMARY KEY REFERENCES symbol ON DELETE CASCADE,
    model_id  INTEGER NOT NULL REFERENCES embedding_model,
    digest    BLOB NOT NULL,  -- of the symbol, as it was then
    text      BLOB NOT NULL,  -- digest of what was embedded
    vector    BLOB NOT NULL   -- little-endian float16, of unit length
) STRICT;
CREATE INDEX embedding_text ON embedding (text);
CREATE INDEX embedding_of_model ON embedding (model_id);

-- Files of which nothing is left to embed, as they were then.
CREATE TABLE embedded_file (
    file_id  INTEGER PRIMARY KEY REFERENCES file ON DELETE CASCADE,
    model_id INTEGER NOT NULL REFERENCES embedding_model,
    form     INTEGER NOT NULL,  -- of the texts
    path     TEXT NOT NULL,
    digest   BLOB NOT NULL
) STRICT;

CREATE TABLE embedding_run (
    id           INTEGER PRIMARY KEY,
    workspace_id INTEGER NOT NULL REFERENCES workspace ON DELETE CASCADE,
    at           REAL NOT NULL,
    embedded     INTEGER NOT NULL,
    seconds      REAL NOT NULL
) STRICT;
CREATE INDEX embedding_run_workspace ON embedding_run (workspace_id);

-- The words of a symbol's name, of what is said about it, and of its body; rowid is the symbol's.
CREATE VIRTUAL TABLE symbol_words USING fts5 (name, said, body, tokenize = 'porter unicode61');
CREATE TRIGGER embedding_gone AFTER DELETE ON embedding BEGIN
    DELETE FROM symbol_words WHERE rowid = OLD.symbol_id;
END;
