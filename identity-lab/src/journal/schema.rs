// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tables, the same in SQLite and PostgreSQL. Their names begin with `identity_`, for a database that others use too.

use diesel::connection::SimpleConnection;
use diesel::result::QueryResult;

diesel::table! {
    /// What happened, never changed.
    identity_events (id) {
        id -> Text,
        at -> Text,
        kind -> Text,
        uuid -> Nullable<Text>,
        hostname -> Nullable<Text>,
        profile -> Nullable<Text>,
        generation -> Nullable<BigInt>,
        fields -> Nullable<Text>,
        state -> Nullable<Text>,
        card -> Nullable<Text>,
        reader -> Nullable<Text>,
        size -> Nullable<BigInt>,
        image -> Nullable<Text>,
        ip -> Nullable<Text>,
        host -> Text,
        person -> Text,
    }
}

diesel::table! {
    /// What each card held when it was seen last: follows from the events, so that nobody needs to read all of them.
    identity_cards (card) {
        card -> Text,
        event -> Text,
        at -> Text,
        kind -> Text,
        uuid -> Nullable<Text>,
        hostname -> Nullable<Text>,
        profile -> Nullable<Text>,
        fields -> Nullable<Text>,
        host -> Text,
    }
}

diesel::table! {
    /// Whose card is being written, by whom.
    identity_claims (uuid) {
        uuid -> Text,
        id -> Text,
        at -> Text,
        host -> Text,
        person -> Text,
    }
}

diesel::table! {
    /// One row: which version the tables have.
    identity_schema (version) {
        version -> BigInt,
    }
}

/// What brings the tables from one version to the next, oldest first; the number of the last one is this program's version.
const STEPS: [&str; 3] = [
    "CREATE TABLE identity_events (
        id TEXT NOT NULL PRIMARY KEY, at TEXT NOT NULL, kind TEXT NOT NULL,
        uuid TEXT, hostname TEXT, profile TEXT, generation BIGINT, fields TEXT, state TEXT,
        card TEXT, reader TEXT, size BIGINT, image TEXT, ip TEXT, host TEXT NOT NULL, person TEXT NOT NULL);
     CREATE INDEX identity_events_uuid ON identity_events (uuid, id);
     CREATE TABLE identity_cards (
        card TEXT NOT NULL PRIMARY KEY, event TEXT NOT NULL, at TEXT NOT NULL, kind TEXT NOT NULL,
        uuid TEXT, hostname TEXT, profile TEXT, fields TEXT, host TEXT NOT NULL);
     CREATE INDEX identity_cards_uuid ON identity_cards (uuid);",
    "CREATE TABLE identity_claims (
        uuid TEXT NOT NULL PRIMARY KEY, id TEXT NOT NULL, at TEXT NOT NULL, host TEXT NOT NULL, person TEXT NOT NULL);
     CREATE INDEX identity_events_stamped ON identity_events (uuid) WHERE kind = 'stamped' AND state = 'valid';",
    // A program that does not know these kinds would take a card that was replaced for one of two.
    "CREATE INDEX identity_events_removed ON identity_events (uuid, id) WHERE kind = 'removed';",
];

/// The version of the tables that this program knows.
pub const VERSION: i64 = STEPS.len() as i64;

/// Makes the table of versions, if it is not there.
///
/// # Errors
/// What the database says.
pub fn begin(connection: &mut impl SimpleConnection) -> QueryResult<()> {
    connection
        .batch_execute("CREATE TABLE IF NOT EXISTS identity_schema (version BIGINT NOT NULL PRIMARY KEY)")
}

/// Brings the tables from `version` to this program's.
///
/// # Errors
/// What the database says.
pub fn migrate(connection: &mut impl SimpleConnection, version: i64) -> QueryResult<()> {
    let done = usize::try_from(version).unwrap_or(0);
    for step in STEPS.iter().skip(done) {
        connection.batch_execute(step)?;
    }
    connection.batch_execute(&format!(
        "DELETE FROM identity_schema; INSERT INTO identity_schema VALUES ({VERSION})"
    ))
}
