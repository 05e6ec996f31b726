-- Technical details that are held back when an advisory is published, and follow at an instant of their own.

create table details (
    "case" text primary key references "case" (id),
    release text not null references release (id),
    state text not null check (state in ('frozen', 'held', 'published')),
    source blob not null,                        -- sealed: what the documents are made of, for channels
    dated_at integer not null,                   -- whole seconds: what the documents say they were changed at
    due_at integer,                              -- when they are published; null: not frozen to an instant yet, or not until somebody says
    advisory text references published_advisory (id),
    follows integer,                             -- the revision they were approved with: they follow on it or not at all
    revision integer,                            -- the revision they became
    attempts integer not null default 0,         -- how often they could not be published
    note text not null default '',               -- why, in words free of case text
    check ((state = 'frozen') = (advisory is null) and (state = 'frozen') = (follows is null)),
    check ((state = 'published') = (revision is not null))
) strict;
create index details_due on details (state, due_at);

-- What will be published then, byte for byte as approved.
create table details_document (
    "case" text not null references details ("case"),
    path text not null,                          -- such as osv/<id>.json
    media_type text not null,
    sha256 blob not null,
    body blob not null,                          -- sealed
    primary key ("case", path)
) strict;
