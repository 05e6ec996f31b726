-- Waves: who is told of a release before its instant. Members and their keys stand in the configuration.

create table wave (
    release text not null references release (id),
    audience text not null,                      -- its name in the project's configuration, or public
    level text not null check (level in ('date', 'severity', 'text', 'patches')),
    before_minutes integer not null check (before_minutes > 0),
    sent_at integer,                             -- when its audience was told; null again once the date fell
    severity text check (severity in ('low', 'medium', 'high', 'critical')), -- what everybody was told, of an audience public
    primary key (release, audience, level),
    check (severity is null or sent_at is not null)
) strict;

-- One copy for one member: what they may know, by which link, and what their copies are known by.
create table wave_recipient (
    id text primary key,
    release text not null references release (id),
    audience text not null,
    level text not null check (level in ('date', 'severity', 'text', 'patches')),
    "case" text not null references "case" (id), -- the case under whose key the columns of this row are sealed
    who blob not null,                           -- sealed: name and address
    link_hash blob not null unique,              -- SHA-256 of the link's code
    link blob,                                   -- sealed: the code, until its mail is settled
    mail text not null references mail (id),     -- the mail that carries it: whether it got out
    mark text not null unique,                   -- 16 hexadecimal digits that stand in its files
    shift integer not null,                      -- seconds by which its commits are older
    told_at integer not null,
    opened_at integer,
    acknowledged_at integer,
    reminded_at integer,
    ended_at integer,                            -- since when the link opens nothing
    unique (release, shift)
) strict;
create index wave_recipient_by_release on wave_recipient (release, audience, level);
create index wave_recipient_by_mail on wave_recipient (mail);

-- How an advisory concerns a recipient.
create table wave_answer (
    recipient text not null references wave_recipient (id),
    advisory text not null,                      -- its public id; empty: the release as a whole
    answer text not null check (answer in ('affected', 'not_affected', 'unknown')),
    remark blob,                                 -- sealed
    answered_at integer not null,
    primary key (recipient, advisory)
) strict;

-- What a copy that was handed out can be known by besides its mark: the ids of its commits.
create table wave_canary (
    recipient text not null references wave_recipient (id),
    value text not null,
    primary key (recipient, value)
) strict;
