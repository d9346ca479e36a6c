//! The dialogs that one INVITE makes: it may be forked, and any number of ends may answer it (RFC
//! 3261 13.2.2.4).

use std::borrow::Cow;

use sip::Message;
use sip::dialog::ProxyDialog;

use super::kept_call::KeptFork;
use crate::mgc::Plan;

/// Dialogs of one leg that are followed; those of more forks pass unnoticed.
const FORKS_MAX: usize = 16;

/// In-dialog requests of one end that may pass before the journal must know of it, twice: a BYE
/// after a restart has a CSeq number above theirs.
pub const CSEQ_MARGIN: u32 = 100;

/// The ends that responded to the INVITE of a leg, each one's dialog and the media it agreed to.
#[derive(Debug, Default)]
pub struct Forks {
    forks: Vec<Fork>,
}

/// One end that responded.
#[derive(Debug)]
struct Fork {
    /// Its tag.
    tag: String,
    /// What it answered to the offer of the INVITE.
    answer: Option<Plan>,
    /// That answer holds, and what its later responses describe says nothing new (RFC 3261 13.2.1).
    settled: bool,
    /// Its dialog once it sent 2xx.
    dialog: Option<Box<ProxyDialog>>,
    /// BYE is under way in it.
    ending: bool,
    /// CSeq numbers of caller and callee in the journal.
    kept_cseqs: [u32; 2],
    /// BYE was answered: what still comes of it, such as its 2xx again, makes nothing anew.
    over: bool,
}

impl Forks {
    /// True until one of them answered the call.
    pub fn is_early(&self) -> bool {
        self.forks.iter().all(|fork| fork.dialog.is_none())
    }

    /// True while an answered dialog is in force.
    pub fn is_confirmed(&self) -> bool {
        self.live().next().is_some()
    }

    /// The end that sent this response to the INVITE; `None` for one too many, and where it has no
    /// tag.
    fn of_response(&mut self, response: &Message) -> Option<&mut Fork> {
        let tag = response.to_tag()?;
        let at = self.forks.iter().position(|fork| fork.tag == tag);
        if at.is_none() && self.forks.len() < FORKS_MAX {
            self.forks.push(Fork {
                tag: tag.to_owned(),
                answer: None,
                settled: false,
                dialog: None,
                ending: false,
                kept_cseqs: [0; 2],
                over: false,
            });
            return self.forks.last_mut();
        }
        self.forks.get_mut(at?)
    }

    /// Whether the description in a response to the INVITE may still change what its sender
    /// answered.
    pub fn may_answer(&mut self, response: &Message) -> bool {
        self.of_response(response).is_none_or(|fork| !fork.settled)
    }

    /// Keeps the answer that a response to the INVITE carries, for good when it came `reliably`.
    pub fn note_answer(&mut self, response: &Message, plan: Plan, reliably: bool) {
        if let Some(fork) = self.of_response(response) {
            fork.answer = Some(plan);
            fork.settled |= reliably;
        }
    }

    /// What the sender of a response answered before.
    pub fn answer_of(&self, response: &Message) -> Option<&Plan> {
        let tag = response.to_tag()?;
        let fork = self.forks.iter().find(|fork| fork.tag == tag)?;
        fork.answer.as_ref()
    }

    /// The dialog of the sender of a 2xx to the INVITE, made by `make` where it is the first. True
    /// when it is the first of the leg.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn answered<E>(
        &mut self,
        response: &Message,
        make: impl FnOnce() -> Result<ProxyDialog, E>,
    ) -> Result<bool, E> {
        let first = self.is_early();
        let Some(fork) = self.of_response(response) else {
            return Ok(false);
        };
        if fork.dialog.is_some() || fork.over {
            return Ok(false);
        }
        fork.dialog = Some(Box::new(make()?));
        Ok(first)
    }

    /// The dialog that a request belongs to.
    pub fn dialog_of(&mut self, request: &Message) -> Option<&mut ProxyDialog> {
        let dialogs = self
            .forks
            .iter_mut()
            .filter_map(|fork| fork.dialog.as_deref_mut());
        dialogs
            .into_iter()
            .find(|dialog| dialog.sender(request).is_some())
    }

    /// BYE passes: its dialog is no longer in force.
    pub fn note_bye(&mut self, bye: &Message) {
        for fork in &mut self.forks {
            let dialog = fork.dialog.as_ref();
            fork.ending |= dialog.is_some_and(|dialog| dialog.sender(bye).is_some());
        }
    }

    /// What the end answered whose dialog is left, where others were ended.
    pub fn answer_left(&self) -> Option<&Plan> {
        self.live().last()?.answer.as_ref()
    }

    /// BYE was answered: its dialog is over. True when it was the last of the leg.
    pub fn remove(&mut self, bye: &Message) -> bool {
        let mut removes = false;
        for fork in &mut self.forks {
            let dialog = fork.dialog.as_ref().filter(|_| fork.ending);
            if dialog.is_some_and(|dialog| dialog.sender(bye).is_some()) {
                fork.dialog = None;
                (fork.over, fork.settled) = (true, true);
                removes = true;
            }
        }
        removes && self.is_early()
    }

    /// Dialogs in force, to end them.
    pub fn take_live(&mut self) -> impl Iterator<Item = ProxyDialog> + use<> {
        let forks = std::mem::take(&mut self.forks).into_iter();
        forks
            .filter(|fork| !fork.ending)
            .filter_map(|fork| fork.dialog.map(|dialog| *dialog))
    }

    // ---- in the journal ----

    /// What is kept of the dialogs in force.
    pub fn kept(&mut self) -> Vec<KeptFork<'_>> {
        let are_several = self.live().nth(1).is_some();
        let mut kept = Vec::new();
        for fork in self.forks.iter_mut().filter(|fork| !fork.ending) {
            let Some(dialog) = fork.dialog.as_deref() else {
                continue;
            };
            fork.kept_cseqs = cseqs(dialog);
            let ends = [&dialog.caller, &dialog.callee];
            kept.push(KeptFork {
                tag: Cow::Borrowed(&fork.tag),
                // Only where it may be turned to.
                answer: fork
                    .answer
                    .as_ref()
                    .filter(|_| are_several)
                    .map(Cow::Borrowed),
                caller: Cow::Borrowed(&dialog.caller.address),
                callee: Cow::Borrowed(&dialog.callee.address),
                cseqs: fork.kept_cseqs,
                targets: ends.map(|end| Cow::Borrowed(&*end.target)),
                routes: ends.map(|end| Cow::Borrowed(&*end.routes)),
                secure: dialog.secure,
            });
        }
        kept
    }

    /// The dialogs as an earlier life had them. Requests that passed since may not have been
    /// noticed: what is sent from here comes after them (RFC 3261 12.2.2).
    pub fn restored(call_id: &str, caller_tag: &str, kept: Vec<KeptFork<'static>>) -> Self {
        let forks = kept.into_iter().map(|kept| Fork {
            dialog: Some(Box::new(kept.dialog(call_id, caller_tag))),
            tag: kept.tag.into_owned(),
            answer: kept.answer.map(Cow::into_owned),
            settled: true,
            ending: false,
            kept_cseqs: kept.cseqs,
            over: false,
        });
        Self {
            forks: forks.collect(),
        }
    }

    /// Whether requests have passed that are too far ahead of what the journal has.
    pub fn run_ahead(&self) -> bool {
        self.forks.iter().any(|fork| {
            let now = fork.dialog.as_deref().map_or([0; 2], cseqs);
            let kept = fork.kept_cseqs.iter().zip(now);
            kept.into_iter()
                .any(|(kept, now)| now.saturating_sub(*kept) >= CSEQ_MARGIN / 2)
        })
    }

    fn live(&self) -> impl DoubleEndedIterator<Item = &Fork> {
        let live = |fork: &&Fork| fork.dialog.is_some() && !fork.ending;
        self.forks.iter().filter(live)
    }
}

/// The CSeq numbers that caller and callee used last.
fn cseqs(dialog: &ProxyDialog) -> [u32; 2] {
    [dialog.caller.cseq, dialog.callee.cseq]
}
