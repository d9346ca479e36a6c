//! The row of a subscriber's registrations: written with every registration, and so compact.
//!
//! An octet says the form, then follow the fields in the postcard form, the revision first, and
//! states by their places in [`RegistrationState`]. Rows of format 1 are JSON, which begins with a
//! brace.

use super::record::{AssignedServer, RegistrationState, Registrations, SetRegistration};

/// The form that is written.
const COMPACT: u8 = 1;

/// Revision; name, host and realm of the S-CSCF; whether another may take over; the sets.
type Row<'a> = (
    u64,
    Option<(&'a str, &'a str, &'a str)>,
    bool,
    Vec<(u32, RegistrationState, bool, Option<&'a str>)>,
);

/// The row of these registrations.
pub fn write(registrations: &Registrations) -> Vec<u8> {
    let Registrations {
        revision,
        server,
        reassignment_pending,
        sets,
    } = registrations;
    let server = server.as_ref();
    let sets = sets.iter();
    let fields: Row<'_> = (
        *revision,
        server.map(|server| (&*server.name, &*server.host, &*server.realm)),
        *reassignment_pending,
        sets.map(|set| {
            let restoration = set.restoration.as_deref();
            (set.set, set.state, set.auth_pending, restoration)
        })
        .collect(),
    );
    postcard::to_io(&fields, vec![COMPACT]).expect("all lengths are known, and a vector has room")
}

/// The registrations of a row; `None` when it is damaged.
pub fn read(row: &[u8]) -> Option<Registrations> {
    let Some((&COMPACT, row)) = row.split_first() else {
        return serde_json::from_slice(row).ok();
    };
    let (revision, server, reassignment_pending, sets): Row<'_> = postcard::from_bytes(row).ok()?;
    let sets = sets.into_iter();
    Some(Registrations {
        revision,
        server: server.map(|(name, host, realm)| AssignedServer {
            name: name.to_owned(),
            host: host.to_owned(),
            realm: realm.to_owned(),
        }),
        reassignment_pending,
        sets: sets
            .map(|(set, state, auth_pending, restoration)| SetRegistration {
                set,
                state,
                auth_pending,
                restoration: restoration.map(str::to_owned),
            })
            .collect(),
    })
}

/// The revision alone.
pub fn revision(row: &[u8]) -> Option<u64> {
    match row.split_first() {
        Some((&COMPACT, row)) => postcard::take_from_bytes(row)
            .ok()
            .map(|(number, _)| number),
        _ => read(row).map(|registrations| registrations.revision),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registrations() -> Registrations {
        Registrations {
            revision: 300,
            server: Some(AssignedServer {
                name: "sip:scscf.ims.test".to_owned(),
                host: "scscf.ims.test".to_owned(),
                realm: "ims.test".to_owned(),
            }),
            reassignment_pending: true,
            sets: vec![
                SetRegistration {
                    set: 7,
                    state: RegistrationState::Registered,
                    auth_pending: false,
                    restoration: Some("{\"path\":\"<sip:p\u{e9}>\"}".to_owned()),
                },
                SetRegistration {
                    set: 8,
                    state: RegistrationState::Unregistered,
                    auth_pending: true,
                    restoration: None,
                },
            ],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for registrations in [registrations(), Registrations::default()] {
            let row = write(&registrations);
            assert_eq!(revision(&row), Some(registrations.revision));
            assert_eq!(read(&row), Some(registrations));
        }
    }

    #[test]
    fn rows_of_the_format_before_are_read() {
        let row = serde_json::to_vec(&registrations()).expect("JSON");
        assert_eq!(revision(&row), Some(300));
        assert_eq!(read(&row), Some(registrations()));
    }

    #[test]
    fn a_row_that_is_cut_off_is_damaged() {
        let row = write(&registrations());
        for length in 0..row.len() {
            assert_eq!(read(&row[..length]), None, "{length}");
        }
    }
}
