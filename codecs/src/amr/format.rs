//! The parameters of AMR and AMR-WB in session descriptions (RFC 4867 8.1, 8.2).

use crate::FormatError;
use crate::amr::payload::Layout;
use crate::fmtp::Parameters;

/// Which of the two codecs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Band {
    /// AMR: 8 kHz, speech modes 0 to 7.
    Narrow,
    /// AMR-WB: 16 kHz, speech modes 0 to 8.
    Wide,
}

impl Band {
    /// The highest speech mode: 12.2 or 23.85 kbit/s. One above is the silence descriptor.
    pub const fn mode_max(self) -> u8 {
        match self {
            Self::Narrow => 7,
            Self::Wide => 8,
        }
    }

    /// FT of the silence descriptor.
    pub const fn sid(self) -> u8 {
        self.mode_max() + 1
    }

    /// Samples of a frame of 20 ms.
    pub const fn frame_samples(self) -> usize {
        match self {
            Self::Narrow => 160,
            Self::Wide => 320,
        }
    }

    /// The bits of a frame of type FT (TS 26.101 table 1a, TS 26.201 table 1a): none of those that
    /// tell that there is no frame; `None` of types that are not to be sent (RFC 4867 4.3.2).
    pub const fn frame_bits(self, frame_type: u8) -> Option<usize> {
        const NARROW: [usize; 9] = [95, 103, 118, 134, 148, 159, 204, 244, 39];
        const WIDE: [usize; 10] = [132, 177, 253, 285, 317, 365, 397, 461, 477, 40];
        match (self, frame_type) {
            (Self::Narrow, 0..=8) => Some(NARROW[frame_type as usize]),
            (Self::Wide, 0..=9) => Some(WIDE[frame_type as usize]),
            (_, 15) | (Self::Wide, 14) => Some(0),
            _ => None,
        }
    }

    /// How many of these, the first, are of class A (TS 26.101 table 2, TS 26.201 table 2): all of
    /// a silence descriptor.
    pub const fn class_a_bits(self, frame_type: u8) -> usize {
        const NARROW: [usize; 9] = [42, 49, 55, 58, 61, 75, 65, 81, 39];
        const WIDE: [usize; 10] = [54, 64, 72, 72, 72, 72, 72, 72, 72, 40];
        match (self, frame_type) {
            (Self::Narrow, 0..=8) => NARROW[frame_type as usize],
            (Self::Wide, 0..=9) => WIDE[frame_type as usize],
            _ => 0,
        }
    }
}

/// How AMR or AMR-WB is packed and which modes may be used: one channel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AmrFormat {
    /// `octet-align`, `crc` and `robust-sorting`, and whether there is `interleaving`.
    pub layout: Layout,
    /// `interleaving`: most frames of an interleaving group; 1 where there is none.
    pub group_frames_max: u8,
    /// `mode-set`: the modes that may be sent.
    pub modes: ModeSet,
    /// `mode-change-period`: the mode may change at every n-th frame only, 1 or 2.
    pub mode_change_period: u8,
    /// `mode-change-neighbor`: the mode may change to the next one in the set only.
    pub mode_change_neighbor: bool,
}

impl AmrFormat {
    /// All modes in bandwidth-efficient packing: what no parameters mean.
    pub fn new(band: Band) -> Self {
        Self {
            layout: Layout::EFFICIENT,
            group_frames_max: 1,
            modes: ModeSet::all(band),
            mode_change_period: 1,
            mode_change_neighbor: false,
        }
    }

    pub(crate) fn parse(band: Band, fmtp: Option<&str>) -> Result<Self, FormatError> {
        let parameters = Parameters::new(fmtp);
        let group = parameters.number("interleaving", 1..=65_535)?;
        if group.is_some_and(|frames| frames > GROUP_FRAMES_MAX) {
            return Err(FormatError::Unsupported("interleaving"));
        }
        // What it means for us to have said so is in the encoder; that it is in range is checked.
        parameters.number("mode-change-capability", 1..=2)?;
        // Frames that come twice are known by their time, however late the second is.
        parameters.number("max-red", 0..=65_535)?;
        let period = parameters.number("mode-change-period", 1..=2)?.unwrap_or(1);
        let crc = parameters.flag("crc")?;
        let robust_sorting = parameters.flag("robust-sorting")?;
        Ok(Self {
            layout: Layout {
                // Any of the others implies it.
                octet_align: parameters.flag("octet-align")?
                    || crc
                    || robust_sorting
                    || group.is_some(),
                crc,
                robust_sorting,
                interleaving: group.is_some(),
            },
            group_frames_max: group.unwrap_or(1) as u8,
            modes: ModeSet::parse(band, parameters.value("mode-set"))?,
            mode_change_period: period as u8,
            mode_change_neighbor: parameters.flag("mode-change-neighbor")?,
        })
    }
}

/// Most frames of an interleaving group that is agreed to: 600 ms, so that what is to be put in
/// order fits a jitter buffer.
pub const GROUP_FRAMES_MAX: u32 = 30;

/// A set of speech modes: of AMR 0 to 7, of AMR-WB 0 to 8. Never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ModeSet(u16);

impl ModeSet {
    /// All eight modes of AMR.
    pub const NARROW: Self = Self(0x0ff);
    /// All nine modes of AMR-WB.
    pub const WIDE: Self = Self(0x1ff);

    /// All modes.
    pub const fn all(band: Band) -> Self {
        match band {
            Band::Narrow => Self::NARROW,
            Band::Wide => Self::WIDE,
        }
    }

    fn parse(band: Band, text: Option<&str>) -> Result<Self, FormatError> {
        let all = Self::all(band);
        let Some(text) = text else { return Ok(all) };
        let mut set = 0;
        for mode in text.split(',') {
            let mode = match mode.trim().as_bytes() {
                [digit @ b'0'..=b'8'] => digit - b'0',
                _ => return Err(FormatError::Parameter("mode-set")),
            };
            if !all.contains(mode) {
                return Err(FormatError::Parameter("mode-set"));
            }
            set |= 1 << mode;
        }
        Ok(Self(set))
    }

    /// Whether the mode is in the set.
    pub const fn contains(self, mode: u8) -> bool {
        mode < 16 && self.0 >> mode & 1 == 1
    }

    /// The lowest mode.
    pub const fn lowest(self) -> u8 {
        self.0.trailing_zeros() as u8
    }

    /// The highest mode.
    pub const fn highest(self) -> u8 {
        self.0.ilog2() as u8
    }

    /// The modes, lowest first.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..16).filter(move |&mode| self.contains(mode))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn narrow(fmtp: &str) -> Result<AmrFormat, FormatError> {
        AmrFormat::parse(Band::Narrow, Some(fmtp))
    }

    #[test]
    fn no_parameters_mean_all_modes_in_the_efficient_packing() {
        for band in [Band::Narrow, Band::Wide] {
            assert_eq!(AmrFormat::parse(band, None), Ok(AmrFormat::new(band)));
        }
    }

    #[test]
    fn parameters_of_ir_92_are_read() {
        let found = narrow("mode-change-capability=2;max-red=0; octet-align=1;mode-set=0,2,4,7");
        let format = found.unwrap();
        assert_eq!(format.layout, Layout::ALIGNED);
        assert_eq!(format.modes.iter().collect::<Vec<_>>(), [0, 2, 4, 7]);
        assert_eq!((format.modes.lowest(), format.modes.highest()), (0, 7));
        let found = narrow("mode-change-period=2; mode-change-neighbor=1").unwrap();
        assert_eq!(
            (found.mode_change_period, found.mode_change_neighbor),
            (2, true)
        );
    }

    #[test]
    fn crcs_and_sorting_imply_octets() {
        for (fmtp, crc, robust_sorting) in [
            ("crc=1", true, false),
            ("robust-sorting=1; octet-align=0", false, true),
            ("octet-align=1;robust-sorting=1;crc=1", true, true),
        ] {
            let octet_align = true;
            let layout = Layout {
                octet_align,
                crc,
                robust_sorting,
                interleaving: false,
            };
            assert_eq!(narrow(fmtp).unwrap().layout, layout, "{fmtp}");
        }
        assert_eq!(
            narrow("crc=0;robust-sorting=0").unwrap().layout,
            Layout::EFFICIENT
        );
    }

    #[test]
    fn interleaving_implies_octets_and_bounds_a_group() {
        let format = narrow("interleaving=30;crc=1;max-red=65535").unwrap();
        assert_eq!(format.group_frames_max, 30);
        let layout = Layout {
            octet_align: true,
            crc: true,
            robust_sorting: false,
            interleaving: true,
        };
        assert_eq!(format.layout, layout);
        let format = narrow("octet-align=1").unwrap();
        assert_eq!(
            (format.group_frames_max, format.layout.interleaving),
            (1, false)
        );
    }

    #[test]
    fn parameters_out_of_range_and_what_is_not_done_are_refused() {
        for (fmtp, name) in [
            ("mode-set=8", "mode-set"),
            ("mode-set=", "mode-set"),
            ("mode-set=1,,2", "mode-set"),
            ("mode-change-period=3", "mode-change-period"),
            ("octet-align=2", "octet-align"),
            ("mode-change-capability=0", "mode-change-capability"),
            ("interleaving=0", "interleaving"),
            ("interleaving", "interleaving"),
            ("max-red=65536", "max-red"),
        ] {
            assert_eq!(narrow(fmtp), Err(FormatError::Parameter(name)), "{fmtp}");
        }
        let interleaved = narrow("interleaving=31");
        assert_eq!(interleaved, Err(FormatError::Unsupported("interleaving")));
        assert_eq!(narrow("crc=2"), Err(FormatError::Parameter("crc")));
        assert!(AmrFormat::parse(Band::Wide, Some("mode-set=8")).is_ok());
    }
}
