-- Releases: trains of cases, frozen into a manifest, armed by people, disclosed by a journalled run.

create table advisory (
    "case" text primary key references "case" (id),
    draft blob not null,                         -- sealed JSON
    edited_at integer not null,
    approved_digest blob,                        -- SHA-256 of the documents as they will be published
    approved_by text references person (id),
    approved_at integer,
    public_id text unique,                       -- given when first frozen
    version integer not null default 0
) strict;

create table release (
    id text primary key,                         -- <PREFIX>-R<n>
    project text not null references project (id),
    state text not null check (state in ('planned', 'frozen', 'armed', 'running', 'held', 'done', 'abandoned')),
    due_at integer not null,                     -- the instant T
    dated_at integer,                            -- committer and tagger time, kept when the instant moves
    manifest blob,                               -- sealed JSON under the first case's key; null until frozen
    digest blob,                                 -- SHA-256 of the manifest's bytes
    note text not null default '',               -- why it is held, in words free of case text
    begun_at integer,
    public_at integer,                           -- the point of no return: first public byte
    done_at integer,
    created_at integer not null,
    version integer not null default 0
) strict;
create index release_due on release (state, due_at);

create table release_case (
    release text not null references release (id),
    "case" text not null references "case" (id),
    position integer not null,
    primary key (release, "case")
) strict;

-- What is released where: one tag on one line.
create table release_target (
    release text not null references release (id),
    line text not null references line (id),
    tag text not null,
    position integer not null,
    base text,                                   -- the public tip the candidate was built on
    candidate text,                              -- the merged commit
    tag_object text,                             -- the tag's object id
    trouble text not null default '',            -- why there is no candidate
    rehearsed_at integer,
    primary key (release, line, tag)
) strict;

-- Each arming signs the manifest's digest; a changed digest disarms.
create table arming (
    release text not null references release (id),
    person text not null references person (id),
    digest blob not null,
    armed_at integer not null,
    primary key (release, person)
) strict;

-- The journal of the run: one row per repository, channel and recipient.
create table effect (
    release text not null references release (id),
    position integer not null,
    phase text not null check (phase in ('preflight', 'push_fixes', 'verify_public', 'publish_advisories', 'notify_public', 'open_case')),
    target text not null,                        -- upstream id, case id, document, or mail id
    state text not null check (state in ('pending', 'started', 'done', 'unknown', 'failed')),
    key text not null unique,                    -- idempotency key
    fence integer not null default 0,            -- of the run that touched it last
    attempts integer not null default 0,
    note text not null default '',
    started_at integer,
    done_at integer,
    primary key (release, position)
) strict;

-- What the public reads, byte for byte as approved.
create table publication (
    path text primary key,                       -- such as osv/<id>.json
    "case" text not null references "case" (id),
    release text not null references release (id),
    media_type text not null,
    body blob not null,
    sha256 blob not null,
    published_at integer not null
) strict;

-- Mails say that there is news, never what. Recipients are sealed under the case's key.
create table mail (
    id text primary key,
    "case" text references "case" (id),
    release text references release (id),
    notice text not null,                        -- word of the closed list of notices
    recipient blob not null,                     -- sealed
    state text not null check (state in ('waiting', 'sent', 'maybe_sent', 'failed')),
    attempts integer not null default 0,
    queued_at integer not null,
    settled_at integer,
    version integer not null default 0
) strict;
