// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where a lab's journal is: `journal = "sqlite:FILE"` or `"postgres://…"` in lab.toml.

use std::path::{Path, PathBuf};

use identity_ui::Result;

use crate::place::Placed;

/// The file beside lab.toml, unless it says otherwise.
const FILE: &str = "journal.db";

/// Where a journal is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JournalPlace {
    /// A file of SQLite.
    Sqlite {
        /// The file.
        file: PathBuf,
        /// A file of the lab, whose owner it gets.
        lab_toml: PathBuf,
    },
    /// A database of PostgreSQL: its address, as libpq takes it, without a password.
    Postgres(String),
}

impl JournalPlace {
    /// What `lab_toml` says; a file's name is taken from its directory.
    ///
    /// # Errors
    /// Exit 4 with the line of what is neither, or has a password in it.
    pub fn parse(text: Option<Placed<String>>, lab_toml: &Path) -> Result<Self> {
        let sqlite =
            |file: &str| Self::Sqlite { file: lab_toml.with_file_name(file), lab_toml: lab_toml.to_owned() };
        let Some(Placed { value, place }) = text else { return Ok(sqlite(FILE)) };
        if let Some(file) = value.strip_prefix("sqlite:").filter(|file| !file.is_empty()) {
            return Ok(sqlite(file));
        }
        if !value.starts_with("postgres://") && !value.starts_with("postgresql://") {
            return Err(place.unreadable(format!(
                "journal: \"{value}\" is neither \"sqlite:FILE\" nor \"postgres://HOST/DATABASE\""
            )));
        }
        if has_password(&value) {
            return Err(place.unreadable(
                "journal: a password in a file under git; put it into ~/.pgpass, or into PGPASSWORD",
            ));
        }
        Ok(Self::Postgres(value))
    }

    /// For messages.
    pub fn shown(&self) -> String {
        match self {
            Self::Sqlite { file, .. } => identity_ui::shell::path(file),
            Self::Postgres(address) => address.clone(),
        }
    }
}

/// Whether an address has a password: behind the user's name, or as a parameter.
fn has_password(address: &str) -> bool {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let (host, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = host.split('/').next().unwrap_or(host);
    let in_user = authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'));
    in_user || parameters.split('&').any(|one| one.starts_with("password="))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::Place;

    fn parse(text: &str) -> Result<JournalPlace> {
        let place = Place::line(Path::new("lab.toml"), 3);
        JournalPlace::parse(Some(Placed { value: text.to_owned(), place }), Path::new("desk/lab.toml"))
    }

    #[test]
    fn a_journal_is_a_file_or_an_address() {
        let file = |name: &str| JournalPlace::Sqlite { file: name.into(), lab_toml: "desk/lab.toml".into() };
        assert_eq!(JournalPlace::parse(None, Path::new("desk/lab.toml")).unwrap(), file("desk/journal.db"));
        assert_eq!(parse("sqlite:a.db").unwrap(), file("desk/a.db"));
        assert_eq!(parse("sqlite:/srv/a.db").unwrap(), file("/srv/a.db"));
        for address in ["postgres://h/lab", "postgresql://me@h:5433/lab?sslmode=require", "postgres:///lab"] {
            assert_eq!(parse(address).unwrap(), JournalPlace::Postgres(address.to_owned()));
        }
        for text in ["journal.db", "sqlite:", "mysql://h/lab", "host=h dbname=lab"] {
            assert!(parse(text).unwrap_err().to_string().starts_with("lab.toml:3: journal: "), "{text}");
        }
    }

    #[test]
    fn no_password_is_in_it() {
        for address in ["postgres://me:secret@h/lab", "postgres://h/lab?user=me&password=secret"] {
            let message = parse(address).unwrap_err().to_string();
            assert!(message.contains("~/.pgpass") && !message.contains("secret"), "{message}");
        }
    }
}
