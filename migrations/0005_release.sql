-- Releases: trains of cases, frozen into a manifest, armed by people, disclosed by a journalled run.

create table advisory (
    "case" text primary key references "case" (id),
    draft blob not null,                         -- sealed JSON
    edited_at integer not null,
    edited_by text references person (id),       -- who edited last: may not approve what they wrote
    editors text not null default '',            -- everybody who edited since the text was settled, ids joined by spaces
    settled blob,                                -- sealed JSON: the text as it was last frozen or published
    approved_digest blob,                        -- SHA-256 of the settled text; an edit voids it
    approved_by text references person (id),
    approved_at integer,
    public_id text unique,                       -- given when first frozen
    version integer not null default 0
) strict;

-- A person answers for a commit whose checks could not run here.
create table waiver (
    fix text not null references fix (id),
    head text not null,
    person text not null references person (id),
    waived_at integer not null,
    primary key (fix, head)
) strict;

create table release (
    id text primary key,                         -- <PREFIX>-R<n>
    project text not null references project (id),
    state text not null check (state in ('planned', 'frozen', 'armed', 'running', 'held', 'done', 'abandoned')),
    due_at integer not null,                     -- the instant T
    dated_at integer not null,                   -- committer and tagger time, whole seconds, kept when a frozen release's instant moves
    manifest blob,                               -- sealed JSON under the first case's key; null until frozen
    digest blob,                                 -- SHA-256 of the manifest without the instant: what people arm
    hold text check (hold in ('line_moved', 'tag_taken', 'upstream_down', 'push_refused', 'partly_public', 'not_ready', 'missed', 'channel', 'package', 'hook', 'trouble')),
    note text not null default '',               -- why it is held, in words free of case text
    hastened_at integer,                         -- when enough people had said that it is to be disclosed now
    skipped text not null default '',            -- what is passed over for it, words joined by spaces
    alarmed text not null default '',            -- the roles that were told, and not yet told otherwise, that it is armed and blocked
    alarmed_at integer,                          -- when anybody was told so last
    details_after integer check (details_after > 0), -- minutes by which technical details follow; null: they are published with the rest
    tests_due text,                              -- '14d' after it is public, or 'never'; null while nobody said
    fence integer not null default 0,            -- of the run that may write effects; an older run's writes are refused
    begun_at integer,
    public_at integer,                           -- the point of no return, written before the first push
    done_at integer,
    created_at integer not null,
    version integer not null default 0,
    check ((manifest is null) = (digest is null)),
    check ((state = 'held') = (hold is not null)),
    check (state in ('planned', 'abandoned') or manifest is not null),
    check (public_at is null or state in ('running', 'held', 'done')),
    check ((state = 'done') = (done_at is not null)),
    check (hastened_at is null or state in ('armed', 'running', 'held', 'done')),
    check (skipped = '' or hastened_at is not null)
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
    upstream text not null references upstream (id),
    line text not null references line (id),
    tag text not null,
    position integer not null,
    strategy text not null check (strategy in ('merge', 'rebase', 'squash')), -- how fixes are put onto the line
    tag_style text not null check (tag_style in ('annotated', 'lightweight')),
    base text,                                   -- the public tip the candidate was built on
    candidate text,                              -- the merged commit
    tag_object text,                             -- the tag's object id; the commit's for a lightweight tag
    maker text check (maker in ('server', 'person')), -- who made the candidate: a merge, or a push to candidate/<line>
    bumped integer not null default 0 check (bumped in (0, 1)), -- whether its last commit is what a version command changed
    same_as text,                                -- the line's one fix, if the candidate is its very tree
    inputs blob,                                 -- SHA-256 of what the candidate was built from
    recipe blob,                                 -- SHA-256 of how: strategy, words, riders, branches that move along
    trouble text not null default '',            -- why there is no candidate
    rehearsed_at integer,
    primary key (release, line, tag),
    check ((candidate is null) = (base is null) and (candidate is null) = (tag_object is null)
        and (candidate is null) = (inputs is null) and (candidate is null) = (recipe is null)
        and (candidate is null) = (maker is null)),
    check (candidate is null or trouble = '')
) strict;

-- How long the last rehearsal that built something took.
create table rehearsal_time (
    release text primary key references release (id),
    milliseconds integer not null,
    measured_at integer not null
) strict;

-- What a person pushed to candidate/<line> of a release last.
create table candidate (
    release text not null references release (id),
    line text not null references line (id),
    head text not null,
    pushed_by text not null references person (id),
    pushed_at integer not null,
    primary key (release, line)
) strict;

-- An approval of a pushed candidate holds for one commit only.
create table candidate_approval (
    release text not null references release (id),
    line text not null references line (id),
    head text not null,
    person text not null references person (id),
    approved_at integer not null,
    counts_at integer not null,                  -- later than approved_at for a volunteer's own push
    primary key (release, line, head, person)
) strict;

-- Each arming is for a manifest's digest and an instant; a changed digest disarms, and so does an instant moved too far.
create table arming (
    release text not null references release (id),
    person text not null references person (id),
    digest blob not null,
    due_at integer not null,
    armed_at integer not null,
    primary key (release, person)
) strict;

-- Who wants a release disclosed now.
create table haste (
    release text not null references release (id),
    person text not null references person (id),
    asked_at integer not null,
    primary key (release, person)
) strict;

-- What will be published, byte for byte as frozen.
create table release_document (
    release text not null references release (id),
    "case" text not null references "case" (id),
    path text not null,                          -- such as osv/<id>.json
    media_type text not null,
    sha256 blob not null,
    body blob not null,                          -- sealed
    primary key (release, path)
) strict;

-- What will be published through channels, byte for byte as frozen; each sealed under the key of a case it tells of.
create table channel_document (
    release text not null references release (id),
    channel text not null,                       -- its name in the project's configuration at the freezing
    path text not null,                          -- below the channel's own place
    "case" text not null references "case" (id),
    body blob not null,                          -- sealed
    primary key (release, channel, path)
) strict;

-- The journal of the run: one row per repository, channel and recipient.
create table effect (
    release text not null references release (id),
    position integer not null,
    phase text not null check (phase in ('preflight', 'push_fixes', 'verify_public', 'publish_advisories', 'notify_public', 'open_case', 'await_packages', 'publish_channels', 'call_hooks')),
    target text not null,                        -- repository/<id>, site/<case>, seat/<case>/<id>, case/<id>, channel/<name>/<subject> or hook/<name>
    needs text not null,                         -- positions of what must be done before, joined by spaces
    state text not null check (state in ('pending', 'started', 'done', 'unknown', 'failed', 'given_up')),
    key text not null unique,                    -- idempotency key
    fence integer not null default 0,            -- of the run that touched it last
    attempts integer not null default 0,
    reason text check (reason in ('line_moved', 'tag_taken', 'upstream_down', 'push_refused', 'partly_public', 'not_ready', 'missed', 'channel', 'package', 'hook', 'trouble')),
    note text not null default '',               -- what happened, in words free of case text
    retry_at integer,                            -- not to be tried again before
    started_at integer,
    done_at integer,
    primary key (release, position),
    check ((state = 'failed') = (reason is not null))
) strict;

-- The advisories the public knows, for list and feed.
create table published_advisory (
    id text primary key,                         -- <PREFIX>-<year>-<n>
    "case" text not null unique references "case" (id),
    release text not null references release (id),
    project text not null references project (id),
    title text not null,
    published_at integer not null,               -- when it was put up
    modified_at integer not null
) strict;

-- What the public reads, byte for byte as approved. Rows are only ever added: of a path, the highest revision is read.
create table publication (
    path text not null,                          -- such as osv/<id>.json
    revision integer not null,                   -- of its advisory; 1 is what was first published
    advisory text not null references published_advisory (id),
    media_type text not null,
    body blob not null,
    sha256 blob not null,
    published_at integer not null,
    primary key (path, revision)
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

-- The keys this server ever signed with: what an earlier one signed still verifies.
create table signer (
    key text primary key,                        -- the public half, as an authorized_keys file has it
    since integer not null,                      -- when the server first started with it
    until integer                                -- when it first started without it; null while it signs
) strict, without rowid;
