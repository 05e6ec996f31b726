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
