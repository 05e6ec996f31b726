-- Cases: one suspected vulnerability each, with reports, members, thread, date. Every sealed column is an envelope of
-- XChaCha20-Poly1305 under the case's key, bound to table, column and row.

create table "case" (
    id text primary key,                         -- <PREFIX>-<n>
    project text not null references project (id),
    title blob not null,                         -- sealed
    state text not null check (state in ('received', 'invalid', 'valid', 'accepted', 'deferred', 'closed')),
    verdict text check (verdict in ('valid', 'invalid', 'duplicate', 'out_of_scope', 'spam')),
    embargo text not null check (embargo in ('none', 'proposed', 'active', 'revise', 'exited')),
    date_at integer,                             -- the agreed end
    proposed_at integer,                         -- the proposed end
    proposed_by text check (proposed_by in ('team', 'reporter')),
    opened_at integer not null,
    acknowledged_at integer,
    accepted_at integer,
    published_at integer,
    closed_at integer,
    remote_at integer,                           -- when its private remote was ready
    version integer not null default 0,
    check ((state = 'closed') = (verdict is not null and closed_at is not null)),
    check ((proposed_at is null) = (proposed_by is null))
) strict;
create index case_by_project on "case" (project, opened_at);

-- The key that seals a case's text, wrapped to the server's key and to the recovery recipient. Deleting the row shreds the text.
create table case_key (
    "case" text primary key references "case" (id),
    wrapped_server blob not null,
    wrapped_recovery blob not null,
    made_at integer not null
) strict;

create table report (
    id text primary key,
    "case" text not null references "case" (id),
    claim blob not null unique,                  -- slow hash of the claim code
    feed blob not null unique,                   -- SHA-256 of the secret feed's name
    body blob not null,                          -- sealed: title, text, versions, claimed severity, credit, contact as JSON
    has_contact integer not null check (has_contact in (0, 1)),
    salt blob not null,                          -- what keeps the hash in a receipt from being guessed
    received_at integer not null,
    version integer not null default 0
) strict;
create index report_by_case on report ("case");

-- A reporter's visit, opened by the claim code: 30 idle minutes, two hours in all.
create table visit (
    hash blob primary key,                       -- SHA-256 of the cookie's value
    report text not null references report (id),
    form_token text not null,                    -- what a form of this visit must carry
    seen_at integer not null,                    -- to the minute
    expires_at integer not null,
    ended_at integer
) strict;
create index visit_by_report on visit (report);

-- A seat in a case: of a person, or of a reporter known by their report alone.
create table member (
    id text primary key,
    "case" text not null references "case" (id),
    person text references person (id),
    report text references report (id),
    role text not null check (role in ('reporter', 'guest', 'auditor', 'triager', 'fixer', 'reviewer', 'release_manager')),
    consent text not null check (consent in ('no_embargo', 'invited', 'signatory', 'lapsed', 'declined')),
    joined_at integer not null,
    left_at integer,
    version integer not null default 0,
    check ((person is null) <> (report is null)),
    unique ("case", person),
    unique ("case", report)
) strict;
create index member_by_person on member (person);

-- Audience: the team alone, one report's reporter with the team, or all members. Reporters of merged duplicates don't meet.
create table message (
    id text primary key,
    "case" text not null references "case" (id),
    audience text not null check (audience in ('team', 'report', 'all')),
    report text references report (id),          -- the one report, when audience is 'report'
    author text references person (id),          -- null: the reporter of `report`
    body blob not null,                          -- sealed
    written_at integer not null,
    check ((audience = 'report') = (report is not null))
) strict;
create index message_by_case on message ("case", written_at);

-- Files are ciphertext to people's own age keys under attachments/<id>; the server cannot read them.
create table attachment (
    id text primary key,
    "case" text not null references "case" (id),
    report text references report (id),          -- whose reporter may see it; null: the team's own
    name blob not null,                          -- sealed
    size integer not null,                       -- bytes of ciphertext
    sha256 blob not null,                        -- of the ciphertext
    recipients integer not null,                 -- stanzas in its header
    by_server integer not null check (by_server in (0, 1)), -- whether the plaintext passed through the server's memory
    stored_at integer not null
) strict;
create index attachment_by_case on attachment ("case");
