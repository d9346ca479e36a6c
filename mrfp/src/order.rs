//! What the mg thread tells a worker.

use crate::cascade::Link;
use crate::keys::Keys;
use crate::performing::Performing;
use crate::room::Room;
use crate::stream::{Digits, Stream};
use crate::talk::TalkNews;
use media::dtmf::Detector;
use mg::LegVolume;

/// Tells a worker to change something. It comes back with what is not used any more.
pub(crate) enum Order {
    /// A stream begins, or takes the place of one; without any, it ends.
    Stream(u32, Option<Box<Stream>>),
    /// A room begins, or takes the place of what it was; without any, it ends.
    Room(u32, Option<Box<Room>>),
    /// A room is joined to its part on another worker, or not any more.
    Link {
        room: u32,
        peer: u16,
        link: Option<Box<Link>>,
    },
    /// Something is to be played or recorded at a stream.
    Perform(u32, Option<Box<Performing>>),
    /// The performance with this number ends: as if by itself, or at once.
    End {
        slot: u32,
        number: u64,
        is_finishing: bool,
    },
    /// Digits among speech are to be told of, or not any more.
    Detect(u32, Option<Box<Detector>>),
    /// Digits that sound.
    Digits(u32, Digits),
    /// What becomes of the keys that come to a stream.
    Keys(u32, Keys),
    /// How loud a stream says and hears.
    Volume(u32, LegVolume),
    /// Who talks is to be told by this, or not any more.
    News(u32, Option<Box<TalkNews>>),
}
