-- After the disclosure: what was published is revised in public, never silently.

-- Every revision of a public advisory, the first one too. Rows are only ever added.
create table revision (
    advisory text not null references published_advisory (id),
    number integer not null,                     -- from 1
    kind text not null check (kind in ('published', 'details', 'corrected', 'withdrawn', 'reinstated')),
    at integer not null,                         -- whole seconds: what its own documents say
    why text not null,                           -- one public sentence; empty for the first
    primary key (advisory, number),
    check ((number = 1) = (kind = 'published')),
    check ((number = 1) = (why = ''))
) strict;

-- What is asked to be changed of a public advisory, until somebody approves it or it is taken back.
create table amendment (
    "case" text primary key references "case" (id),
    act text not null check (act in ('correct', 'withdraw', 'reinstate')),
    why blob not null,                           -- sealed: the sentence the public will read
    asked_by text not null references person (id), -- may not approve it
    asked_at integer not null
) strict;

-- What a channel is told of a revision, by a job of its own.
create table retelling (
    advisory text not null references published_advisory (id),
    revision integer not null,
    channel text not null,                       -- its name in the project's configuration
    "case" text not null references "case" (id),
    files text not null,                         -- JSON: path and text of each; public like the revision itself
    state text not null check (state in ('waiting', 'done', 'overtaken', 'failed')),
    attempts integer not null default 0,
    note text not null default '',               -- what happened, in words free of case text
    settled_at integer,
    primary key (advisory, revision, channel),
    foreign key (advisory, revision) references revision (advisory, number)
) strict;

-- A case that follows up on another. Who has a seat in one of the two alone is told nothing of it.
create table case_link (
    earlier text not null references "case" (id),
    later text not null unique references "case" (id),
    because text not null check (because in ('incomplete', 'superseded', 'regression')),
    made_by text not null references person (id),
    made_at integer not null,
    primary key (earlier, later)
) strict;

-- Whether a reporter lets their own words stand in the public record of a case; no row: not answered.
create table record_consent (
    report text primary key references report (id),
    "case" text not null references "case" (id),
    answer text not null check (answer in ('agreed', 'declined')),
    parts text not null,                         -- the parts that were asked about, words joined by spaces
    answered_at integer not null
) strict;

-- The public record of a case as somebody put it together: sealed until it is published, byte for byte.
create table record_draft (
    "case" text primary key references "case" (id),
    draft blob not null,                         -- sealed JSON
    made_by text not null references person (id),
    made_at integer not null
) strict;

-- What was opened of a case, under its advisory.
create table public_record (
    advisory text primary key references published_advisory (id),
    html text not null,
    markdown text not null,
    sha256 blob not null,                        -- what was approved
    published_at integer not null
) strict;
