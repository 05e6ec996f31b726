-- Accounts: people, their keys, how they sign in. Instants are milliseconds since 1970 UTC everywhere.
-- Ids are 32 hexadecimal digits (UUID version 7) unless a column says otherwise.

create table person (
    id text primary key,
    handle text not null unique,                 -- lower-case, shown as @handle
    name text not null,                          -- as the person wants to be called
    email text,                                  -- where notices go; never logged
    state text not null check (state in ('active', 'disabled')),
    created_at integer not null,
    version integer not null default 0
) strict;

create table person_key (
    id text primary key,
    person text not null references person (id),
    kind text not null check (kind in ('ssh', 'age')),
    public text not null,                        -- canonical public key line, or age recipient
    fingerprint text not null,                   -- SHA256:…
    added_at integer not null,
    removed_at integer
) strict;
create unique index person_key_once on person_key (person, kind, fingerprint) where removed_at is null;
create index person_key_by_fingerprint on person_key (fingerprint);

-- One-time links: 15 minutes, single use. Only the SHA-256 of the code is here.
create table sign_in_link (
    hash blob primary key,
    person text not null references person (id),
    kind text not null check (kind in ('invitation', 'hand_over')), -- a hand-over from CLI to browser lives two minutes
    made_at integer not null,
    expires_at integer not null,
    used_at integer
) strict;

-- Nonces of SSH-key sign-ins: two minutes, single use. They belong to nobody until they are answered.
create table sign_in_challenge (
    nonce text primary key,
    made_at integer not null,
    expires_at integer not null,
    used_at integer
) strict;

create table session (
    hash blob primary key,                       -- SHA-256 of the cookie's value or the client's secret
    person text not null references person (id),
    kind text not null check (kind in ('browser', 'client')),
    form_token text not null,                    -- what a form of this session must carry
    signed_in_at integer not null,               -- a sign-in is fresh for five minutes
    seen_at integer not null,                    -- to the minute; a browser's idle limit is 30 minutes
    expires_at integer not null,                 -- absolute limit 12 hours
    ended_at integer
) strict;
create index session_by_person on session (person);

create table token (
    id text primary key,
    person text not null references person (id),
    name text not null,
    hash blob not null unique,                   -- SHA-256 of the whole token
    scopes text not null,                        -- space-separated words: git:read git:write api:read api:write
    project text,                                -- confined to this project
    "case" text,                                 -- confined to this case
    created_at integer not null,
    expires_at integer not null,                 -- at most 90 days after created_at
    revoked_at integer,
    check (expires_at - created_at <= 90 * 86400000)
) strict;
create index token_by_person on token (person);
