//! Which mode is sent: what was asked for, within what was agreed (RFC 4867 8.1).

use crate::amr::AmrFormat;

/// Chooses the mode of each frame.
#[derive(Clone, Debug)]
pub(crate) struct ModeControl {
    format: AmrFormat,
    mode: u8,
    wanted: u8,
    /// Frames until the mode may change.
    frames_left: u8,
}

impl ModeControl {
    /// Begins with a mode, or the highest; `None` if it is not in the set.
    pub(crate) fn new(format: &AmrFormat, mode: Option<u8>) -> Option<Self> {
        let mode = mode.unwrap_or(format.modes.highest());
        format.modes.contains(mode).then(|| Self {
            format: format.clone(),
            mode,
            wanted: mode,
            frames_left: 0,
        })
    }

    /// A mode is asked for: it, or the next lower one of the set, or the lowest, is approached.
    pub(crate) fn request(&mut self, mode: u8) {
        self.wanted = self.within(mode);
    }

    /// The mode, or the next lower one of the set, or the lowest.
    pub(crate) fn within(&self, mode: u8) -> u8 {
        let modes = self.format.modes;
        let not_above = modes.iter().take_while(|&each| each <= mode).last();
        not_above.unwrap_or(modes.lowest())
    }

    /// The mode of the last frame.
    pub(crate) fn mode(&self) -> u8 {
        self.mode
    }

    /// The mode of the last frame, and the one that is approached.
    pub(crate) fn modes(&self) -> (u8, u8) {
        (self.mode, self.wanted)
    }

    /// The mode of the next frame. To be asked once for each, sent or not.
    pub(crate) fn next_mode(&mut self) -> u8 {
        if self.frames_left > 0 {
            self.frames_left -= 1;
            return self.mode;
        }
        self.frames_left = self.format.mode_change_period.saturating_sub(1);
        if !self.format.mode_change_neighbor {
            self.mode = self.wanted;
            return self.mode;
        }
        let (mode, wanted) = (self.mode, self.wanted);
        let modes = self.format.modes;
        let next = if wanted > mode {
            modes.iter().find(|&each| each > mode)
        } else {
            modes.iter().take_while(|&each| each < mode).last()
        };
        if wanted != mode {
            self.mode = next.unwrap_or(mode);
        }
        self.mode
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amr::Band;

    fn control(fmtp: &str, mode: Option<u8>) -> Option<ModeControl> {
        ModeControl::new(&AmrFormat::parse(Band::Narrow, Some(fmtp)).unwrap(), mode)
    }

    fn next(control: &mut ModeControl, frames: usize) -> Vec<u8> {
        (0..frames).map(|_| control.next_mode()).collect()
    }

    #[test]
    fn a_request_is_followed_at_once_where_nothing_forbids() {
        let mut control = control("", Some(7)).unwrap();
        assert_eq!(next(&mut control, 2), [7, 7]);
        control.request(0);
        assert_eq!(next(&mut control, 2), [0, 0]);
        control.request(5);
        assert_eq!(next(&mut control, 2), [5, 5]);
    }

    #[test]
    fn a_mode_outside_the_set_is_the_next_lower_one_in_it() {
        let mut control = control("mode-set=2,4,7", None).unwrap();
        for (asked, sent) in [(7, 7), (6, 4), (5, 4), (3, 2), (1, 2), (0, 2), (14, 7)] {
            control.request(asked);
            assert_eq!(next(&mut control, 1), [sent], "{asked}");
        }
    }

    #[test]
    fn a_period_of_two_changes_every_other_frame_at_most() {
        let mut control = control("mode-change-period=2", Some(0)).unwrap();
        assert_eq!(next(&mut control, 1), [0]);
        control.request(7);
        assert_eq!(next(&mut control, 2), [0, 7]);
        control.request(3);
        assert_eq!(next(&mut control, 3), [7, 3, 3]);
    }

    #[test]
    fn neighbours_are_passed_one_by_one() {
        let fmtp = "mode-set=0,2,4,7;mode-change-neighbor=1;mode-change-period=2";
        let mut control = control(fmtp, None).unwrap();
        control.request(0);
        assert_eq!(next(&mut control, 8), [4, 4, 2, 2, 0, 0, 0, 0]);
        control.request(7);
        assert_eq!(next(&mut control, 8), [2, 2, 4, 4, 7, 7, 7, 7]);
    }

    #[test]
    fn the_first_mode_is_in_the_set() {
        assert!(control("mode-set=0,2", Some(1)).is_none());
        assert_eq!(control("mode-set=0,2", None).unwrap().next_mode(), 2);
    }
}
