//! Replies longer than a message, in segments: clause 8.2.2, version 3.

use super::SEGMENTS_MAX;
use super::outgoing::append;
use crate::message::ActionReply;

/// Splits a reply between its commands into parts of at most `len_max` octets each; `len` is that
/// of a part. `None` when a single command is longer, or there are too many parts.
pub(super) fn split(
    actions: Vec<ActionReply>,
    len_max: usize,
    mut len: impl FnMut(&[ActionReply]) -> Option<usize>,
) -> Option<Vec<Vec<ActionReply>>> {
    let pieces: Vec<ActionReply> = actions.into_iter().flat_map(pieces).collect();
    let shared = shared(pieces.first()?, &mut len)?;
    let mut parts: Vec<Vec<ActionReply>> = Vec::new();
    let mut room = 0;
    for piece in pieces {
        let alone = len(std::slice::from_ref(&piece))?;
        if alone > len_max || parts.len() >= usize::from(SEGMENTS_MAX) {
            return None;
        }
        let joins = |last: &ActionReply| last.context == piece.context && last.error.is_none();
        match parts.last_mut() {
            Some(part) if part.last().is_some_and(joins) && alone - shared <= room => {
                append(part, piece);
                room -= alone - shared;
            }
            Some(part) if alone <= room => {
                part.push(piece);
                room -= alone;
            }
            _ => {
                parts.push(vec![piece]);
                room = len_max.saturating_sub(alone + LENGTHS);
            }
        }
    }
    Some(parts)
}

/// Octets of a part that do not come again with a further command of the same action.
fn shared(
    piece: &ActionReply,
    mut len: impl FnMut(&[ActionReply]) -> Option<usize>,
) -> Option<usize> {
    let commands = |times: usize| {
        let commands = std::iter::repeat_n(piece.commands.clone(), times);
        [ActionReply::new(
            piece.context,
            commands.flatten().collect(),
        )]
    };
    (2 * len(&commands(1))?).checked_sub(len(&commands(2))?)
}

/// Octets by which the lengths of what holds the commands grow with them, in binary.
const LENGTHS: usize = 16;

/// An action's reply with one command each; attributes go with the first, an error with the last.
fn pieces(mut action: ActionReply) -> Vec<ActionReply> {
    let mut commands = std::mem::take(&mut action.commands).into_iter();
    let error = action.error.take();
    action.commands.extend(commands.next());
    let context = action.context;
    let mut pieces = vec![action];
    pieces.extend(commands.map(|command| ActionReply::new(context, vec![command])));
    if let Some(last) = pieces.last_mut() {
        last.error = error;
    }
    pieces
}
