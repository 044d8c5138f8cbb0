// SPDX-License-Identifier: MIT OR Apache-2.0
//! The database of events. Each event is inserted once, whoever tries again.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;

use diesel::Connection as _;
#[cfg(feature = "postgres")]
use diesel::PgConnection;
use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::result::QueryResult;
use diesel::sql_types::Bool;
use identity_ui::{Exit, Failure, Result, shell};
use rustix::fs::Access;

use super::event::{self, CardSeen, Claimed, Event, Kind};
use super::place::JournalPlace;
use super::schema::{self, identity_cards, identity_claims, identity_events, identity_schema};
use crate::place::cannot;

/// Types of file systems, statfs(2), on which SQLite's locks do not hold: NFS, SMB, CIFS, SMB2, AFS.
const REMOTE: [u32; 5] = [0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x5346_414f];
/// Of a server that does not answer: seconds until a connection is given up, and milliseconds until one that was made is.
#[cfg(feature = "postgres")]
const PATIENCE: [(&str, &str); 2] = [("connect_timeout", "5"), ("tcp_user_timeout", "10000")];

/// Events that are asked for by their ids at once: SQLite takes 32,766 parameters.
const IDS_MAX: usize = 10_000;

/// An open database, with this program's tables.
pub struct Database {
    connection: Connection,
    shown: String,
}

enum Connection {
    Sqlite(SqliteConnection),
    #[cfg(feature = "postgres")]
    Postgres(PgConnection),
}

/// The same code on each kind of connection: diesel's queries are of one kind.
macro_rules! on {
    ($connection:expr, $name:ident => $body:expr) => {
        match $connection {
            Connection::Sqlite($name) => $body,
            #[cfg(feature = "postgres")]
            Connection::Postgres($name) => $body,
        }
    };
}

/// The version of the tables; 0 where there are none.
macro_rules! version {
    ($connection:expr) => {
        identity_schema::table
            .select(diesel::dsl::max(identity_schema::version))
            .first::<Option<i64>>($connection)
    };
}

/// Brings the tables to this program's version, unless they are newer; gives the version that they have then.
macro_rules! make_tables {
    ($connection:expr) => {{
        schema::begin($connection)?;
        let version = version!($connection)?.unwrap_or(0);
        if version < schema::VERSION {
            schema::migrate($connection, version)?;
        }
        Ok(version.max(schema::VERSION))
    }};
}

impl Database {
    /// Opens it, and makes what is missing; `None` where nothing was ever noted and `make` is not set.
    ///
    /// # Errors
    /// Exit 6 for a place that does not work, or tables of a newer program; 7 if it cannot be reached.
    pub fn open(place: &JournalPlace, make: bool) -> Result<Option<Self>> {
        let connection = match place {
            JournalPlace::Sqlite { file, .. } if !make && !file.exists() => return Ok(None),
            JournalPlace::Sqlite { file, lab_toml } => Connection::Sqlite(open_sqlite(file, lab_toml)?),
            JournalPlace::Postgres(address) => open_postgres(address)?,
        };
        let mut database = Self { connection, shown: place.shown() };
        database.update_tables()?;
        Ok(Some(database))
    }

    fn update_tables(&mut self) -> Result<()> {
        let shown = self.shown.clone();
        let known = on!(&mut self.connection, it => version!(it)).ok().flatten().unwrap_or(0);
        let version = if known >= schema::VERSION {
            known
        } else {
            // Two hosts may find an empty database at once.
            let made = match &mut self.connection {
                Connection::Sqlite(it) => it.immediate_transaction(|it| make_tables!(it)),
                #[cfg(feature = "postgres")]
                Connection::Postgres(it) => it.transaction(|it| {
                    it.batch_execute("SELECT pg_advisory_xact_lock(7526466502337585012)")?;
                    make_tables!(it)
                }),
            };
            made.map_err(|error: diesel::result::Error| self.failed("make its tables", &error))?
        };
        if version > schema::VERSION {
            return Err(Failure::refused(format!(
                "{shown}: its tables have version {version}, this program knows {}; install a newer identity-lab",
                schema::VERSION
            )));
        }
        Ok(())
    }

    /// Inserts events, all or none; those that are there already stay as they are.
    ///
    /// # Errors
    /// Exit 7 if the database fails.
    pub fn insert(&mut self, events: &[Event]) -> Result<()> {
        // The first statement writes: of two programs, SQLite lets one wait for the other.
        let inserted = on!(&mut self.connection, it => it.transaction(|it| {
            for event in events {
                let row = diesel::insert_into(identity_events::table).values(event);
                let is_new = row.on_conflict_do_nothing().execute(it)? > 0;
                if let Some(seen) = event.card_seen().filter(|_| is_new) {
                    let row = diesel::insert_into(identity_cards::table).values(&seen);
                    if row.on_conflict_do_nothing().execute(it)? == 0 {
                        // What waited in a queue may be older than what is known.
                        let older = identity_cards::card.eq(&seen.card).and(identity_cards::event.lt(&seen.event));
                        diesel::update(identity_cards::table.filter(older)).set(&seen).execute(it)?;
                    }
                }
            }
            QueryResult::Ok(())
        }));
        inserted.map_err(|error| self.failed("write", &error))
    }

    /// The latest events of an identity of these kinds, the newest first, `count` at most.
    ///
    /// # Errors
    /// Exit 7 if the database fails.
    pub fn events_of(&mut self, uuid: &str, kinds: &[Kind], count: i64) -> Result<Vec<Event>> {
        let names = kinds.iter().map(|kind| kind.name());
        let wanted = identity_events::uuid.eq(uuid).and(identity_events::kind.eq_any(names));
        let query = identity_events::table.filter(wanted).order(identity_events::id.desc()).limit(count);
        on!(&mut self.connection, it => query.load(it)).map_err(|error| self.failed("read", &error))
    }

    /// What each card held when it was seen last, by identity.
    ///
    /// # Errors
    /// Exit 7 if the database fails.
    pub fn cards(&mut self) -> Result<Vec<CardSeen>> {
        let query = identity_cards::table.order((identity_cards::uuid, identity_cards::card));
        on!(&mut self.connection, it => query.load(it)).map_err(|error| self.failed("read", &error))
    }

    /// What the cards held, when they were seen last, that had an identity then.
    ///
    /// # Errors
    /// Exit 7 if the database fails.
    pub fn cards_of(&mut self, uuid: &str) -> Result<Vec<CardSeen>> {
        let query = identity_cards::table.filter(identity_cards::uuid.eq(uuid)).order(identity_cards::card);
        on!(&mut self.connection, it => query.load(it)).map_err(|error| self.failed("read", &error))
    }

    /// Of each identity whose board was taken out of the list, the last event that says so, by UUID; those that were renamed since
    /// are boards again.
    ///
    /// # Errors
    /// Exit 7 if the database fails.
    pub fn removed(&mut self) -> Result<HashMap<String, Event>> {
        // As the index has it, which is made for this.
        let query = identity_events::table
            .filter(sql::<Bool>("kind = 'removed'").and(identity_events::uuid.is_not_null()))
            .order((identity_events::uuid, identity_events::id));
        let events: QueryResult<Vec<Event>> = on!(&mut self.connection, it => query.load(it));
        let events = events.map_err(|error| self.failed("read", &error))?;
        let mut removed: HashMap<_, _> =
            events.into_iter().filter_map(|event| Some((event.uuid.clone()?, event))).collect();
        for uuid in removed.keys().cloned().collect::<Vec<_>>() {
            let last = self.events_of(&uuid, &[Kind::Renamed], 1)?.pop();
            if last.is_some_and(|renamed| removed.get(&uuid).is_some_and(|event| renamed.id > event.id)) {
                removed.remove(&uuid);
            }
        }
        Ok(removed)
    }

    /// The last event of these kinds of each identity, by UUID.
    ///
    /// # Errors
    /// Exit 7 if the database fails.
    pub fn last_events(&mut self, kinds: &[Kind]) -> Result<HashMap<String, Event>> {
        let names = kinds.iter().map(|kind| kind.name());
        let query = identity_events::table
            .filter(identity_events::uuid.is_not_null().and(identity_events::kind.eq_any(names)))
            .group_by(identity_events::uuid)
            .select(diesel::dsl::max(identity_events::id));
        let ids: QueryResult<Vec<Option<String>>> = on!(&mut self.connection, it => query.load(it));
        let ids: Vec<_> = ids.map_err(|error| self.failed("read", &error))?.into_iter().flatten().collect();
        let mut last = HashMap::new();
        for some in ids.chunks(IDS_MAX) {
            let query = identity_events::table.filter(identity_events::id.eq_any(some));
            let events: QueryResult<Vec<Event>> = on!(&mut self.connection, it => query.load(it));
            let events = events.map_err(|error| self.failed("read", &error))?;
            last.extend(events.into_iter().filter_map(|event| Some((event.uuid.clone()?, event))));
        }
        Ok(last)
    }

    /// What one card held when it was seen last.
    ///
    /// # Errors
    /// Exit 7 if the database fails.
    pub fn card(&mut self, cid: &str) -> Result<Option<CardSeen>> {
        let query = identity_cards::table.find(cid);
        let found = on!(&mut self.connection, it => query.first(it).optional());
        found.map_err(|error| self.failed("read", &error))
    }

    /// Claims a board, unless another claim of it stands that is not over; gives that one.
    ///
    /// # Errors
    /// Exit 7 if the database fails.
    pub fn claim(&mut self, mine: &Claimed, is_over: &dyn Fn(&Claimed) -> bool) -> Result<Option<Claimed>> {
        loop {
            let row = diesel::insert_into(identity_claims::table).values(mine).on_conflict_do_nothing();
            let inserted = on!(&mut self.connection, it => row.execute(it));
            if inserted.map_err(|error| self.failed("write", &error))? > 0 {
                return Ok(None);
            }
            match self.claimed(&mine.uuid)? {
                Some(other) if is_over(&other) => self.release(&other.id)?,
                Some(other) => return Ok(Some(other)),
                // It was given back meanwhile.
                None => (),
            }
        }
    }

    /// Who has claimed a board.
    ///
    /// # Errors
    /// Exit 7 if the database fails.
    pub fn claimed(&mut self, uuid: &str) -> Result<Option<Claimed>> {
        let query = identity_claims::table.find(uuid);
        let found = on!(&mut self.connection, it => query.first(it).optional());
        found.map_err(|error| self.failed("read", &error))
    }

    /// Gives a claim back.
    ///
    /// # Errors
    /// Exit 7 if the database fails.
    pub fn release(&mut self, id: &str) -> Result<()> {
        let row = diesel::delete(identity_claims::table.filter(identity_claims::id.eq(id)));
        let deleted = on!(&mut self.connection, it => row.execute(it));
        deleted.map(|_| ()).map_err(|error| self.failed("write", &error))
    }

    /// Identities that were given to more than one card, with the events that say so: as often as none of them was erased or replaced since.
    ///
    /// # Errors
    /// Exit 7 if the database fails.
    pub fn given_twice(&mut self) -> Result<Vec<(String, Vec<Event>)>> {
        let stamped = identity_events::kind.eq(Kind::Stamped.name()).and(identity_events::state.eq("valid"));
        let query = identity_events::table
            .filter(stamped.and(identity_events::uuid.is_not_null()))
            .group_by(identity_events::uuid)
            .having(diesel::dsl::count_star().gt(1))
            .select(identity_events::uuid);
        let uuids: QueryResult<Vec<Option<String>>> = on!(&mut self.connection, it => query.load(it));
        let mut twice = Vec::new();
        for uuid in uuids.map_err(|error| self.failed("read", &error))?.into_iter().flatten() {
            let mut events = self.events_of(&uuid, &Kind::GIVEN, 100)?;
            events.reverse();
            let given = event::given(&events);
            if given.len() > 1 {
                twice.push((uuid, given));
            }
        }
        Ok(twice)
    }

    /// That two cards had an identity at once, unless one of the two was erased, or a person has said which is the board's.
    ///
    /// # Errors
    /// Exit 7 if the database fails.
    pub fn double(&mut self, uuid: &str) -> Result<Option<Event>> {
        let last = self.events_of(uuid, &[Kind::Doubled, Kind::Erased, Kind::Replaced], 1)?.pop();
        Ok(last.filter(|last| last.kind == Kind::Doubled.name()))
    }

    /// Gives every claim of a board back.
    ///
    /// # Errors
    /// Exit 7 if the database fails.
    pub fn release_all(&mut self, uuid: &str) -> Result<()> {
        let row = diesel::delete(identity_claims::table.find(uuid));
        let deleted = on!(&mut self.connection, it => row.execute(it));
        deleted.map(|_| ()).map_err(|error| self.failed("write", &error))
    }

    fn failed(&self, action: &str, error: &dyn std::fmt::Display) -> Failure {
        let error = one_line(&error.to_string());
        Failure::new(Exit::Device, format!("journal {}: cannot {action}: {error}", self.shown))
    }
}

fn open_sqlite(path: &Path, lab_toml: &Path) -> Result<SqliteConnection> {
    let directory = crate::replace::parent(path);
    let system =
        rustix::fs::statfs(directory).map_err(|error| cannot("open", path, &error.into(), Exit::Device))?;
    if is_remote(system.f_type) {
        return Err(Failure::refused(format!(
            "{}: SQLite loses data on a file system of the network; put the journal on this host's own disk,              journal = \"sqlite:/var/lib/…\" in lab.toml, or into PostgreSQL",
            shell::path(path)
        )));
    }
    let is_readable_only = path.exists() && rustix::fs::access(path, Access::WRITE_OK).is_err();
    if !is_readable_only {
        make_file(path, lab_toml)?;
    }
    let failed = |error: &dyn std::fmt::Display| {
        let error = one_line(&error.to_string());
        Failure::new(Exit::Device, format!("journal {}: cannot open: {error}", shell::path(path)))
    };
    // A name that begins like an address would be taken for one.
    let name = std::path::absolute(path).map_err(|error| cannot("find", path, &error, Exit::Device))?;
    let name = name.to_str().ok_or_else(|| failed(&"its name is no UTF-8"))?;
    if is_readable_only {
        return SqliteConnection::establish(&read_only(name)).map_err(|error| failed(&error));
    }
    let mut connection = SqliteConnection::establish(name).map_err(|error| failed(&error))?;
    connection
        .batch_execute("PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
        .map_err(|error| failed(&error))?;
    Ok(connection)
}

/// The address of a file that may be read alone. SQLite makes files beside it, but where it is told that nobody writes; with
/// events in such a file, somebody does. Source: "Uniform Resource Identifiers" and "Write-Ahead Logging" in SQLite's manual.
fn read_only(name: &str) -> String {
    let is_written = fs::metadata(format!("{name}-wal")).is_ok_and(|log| log.len() > 0);
    let escaped = name.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    format!("file:{escaped}?mode=ro{}", if is_written { "" } else { "&immutable=1" })
}

/// Makes an empty file that the lab's owner can write, also when root makes it.
fn make_file(path: &Path, lab_toml: &Path) -> Result<()> {
    let failed = |error: &std::io::Error| crate::replace::failure("make", path, error);
    let file = match OpenOptions::new().write(true).create_new(true).mode(0o664).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(failed(&error)),
    };
    if rustix::process::geteuid().is_root()
        && let Ok(owner) = fs::metadata(lab_toml)
    {
        fchown(&file, Some(owner.uid()), Some(owner.gid())).map_err(|error| failed(&error))?;
    }
    Ok(())
}

#[cfg(feature = "postgres")]
fn open_postgres(address: &str) -> Result<Connection> {
    let failed = |error: &dyn std::fmt::Display| {
        let error = one_line(&error.to_string());
        Failure::new(Exit::Device, format!("journal {address}: cannot connect: {error}"))
    };
    let mut connection = PgConnection::establish(&patient(address)).map_err(|error| failed(&error))?;
    // Nobody waits for ever for what another program has locked.
    connection.batch_execute("SET lock_timeout = '10s'").map_err(|error| failed(&error))?;
    Ok(Connection::Postgres(connection))
}

#[cfg(not(feature = "postgres"))]
fn open_postgres(address: &str) -> Result<Connection> {
    Err(Failure::refused(format!(
        "journal {address}: this identity-lab was built without PostgreSQL; the Debian packages for amd64 and arm64 have it, and so has \
         `cargo install --locked --path identity-lab --features postgres`"
    )))
}

/// The address with limits for a server that does not answer, unless it has its own.
#[cfg(feature = "postgres")]
fn patient(address: &str) -> String {
    PATIENCE.iter().fold(address.to_owned(), |address, (name, value)| {
        if address.contains(&format!("{name}=")) {
            return address;
        }
        let mark = if address.contains('?') { '&' } else { '?' };
        format!("{address}{mark}{name}={value}")
    })
}

/// Whether statfs(2) calls a file system one of the network.
fn is_remote(kind: impl TryInto<i64>) -> bool {
    // Its width depends on the machine; the numbers have 32 bits.
    kind.try_into().is_ok_and(|kind| REMOTE.iter().any(|known| i64::from(*known) == kind & 0xffff_ffff))
}

/// libpq's messages have several lines.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_of_the_network_are_known() {
        assert!(is_remote(0x6969_i64) && is_remote(0xff53_4d42_u32) && is_remote(-11_317_950_i32));
        assert!(!is_remote(0xef53_i64) && !is_remote(0x0102_1994_i64));
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn an_address_gets_limits_unless_it_has_its_own() {
        assert_eq!(patient("postgres://h/d"), "postgres://h/d?connect_timeout=5&tcp_user_timeout=10000");
        let own = patient("postgres://h/d?connect_timeout=1");
        assert_eq!(own, "postgres://h/d?connect_timeout=1&tcp_user_timeout=10000");
    }
}
