//! What the S-CSCF keeps in the journal, and takes up again after a restart.

use std::time::Duration;

use super::registrar::{RegistrationSet, SetId};
use super::{Scscf, Timer};
use crate::entity::{self, Actions};
use crate::journal::{Kind, Replay};

/// No registration ends sooner after a restart: the HSS is to be told, and its connection takes a
/// moment.
const GRACE: Duration = Duration::from_secs(5);

impl Scscf {
    /// Takes up what an earlier life has kept. What has expired meanwhile ends as it does always.
    pub(crate) fn restore(&mut self, replay: &mut Replay, actions: &mut Actions<'_>) {
        for (id, set) in replay.take::<RegistrationSet>(Kind::RegistrationSet) {
            let id = SetId(id);
            let ends_at = set.expires_at().unwrap_or(actions.now);
            let timer = entity::Timer::Scscf(Timer::Contact(id));
            let timer = actions.set_timer((ends_at - actions.now).max(GRACE), timer);
            let timer = Some(timer);
            self.registrar.restore(id, RegistrationSet { timer, ..set });
        }
        self.notifier.restore(replay, &self.registrar, actions);
    }

    /// Keeps everything anew.
    pub(crate) fn keep_all(&self, actions: &mut Actions<'_>) {
        for (id, set) in self.registrar.iter() {
            actions.journal.put(Kind::RegistrationSet, id.0, set);
        }
        self.notifier.keep_all(actions);
    }

    /// Keeps a set as it is now.
    pub(super) fn keep_set(&self, actions: &mut Actions<'_>, id: SetId) {
        if let Some(set) = self.registrar.get(id) {
            actions.journal.put(Kind::RegistrationSet, id.0, set);
        }
    }
}
