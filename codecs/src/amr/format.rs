//! The parameters of AMR and AMR-WB in session descriptions (RFC 4867 8.1, 8.2).

use crate::FormatError;
use crate::fmtp::Parameters;

/// How AMR or AMR-WB is packed and which modes may be used: one channel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AmrFormat {
    /// `octet-align`: fields and frames begin at octets; otherwise bandwidth-efficient.
    pub octet_align: bool,
    /// `mode-set`: the modes that may be sent.
    pub modes: ModeSet,
    /// `mode-change-period`: the mode may change at every n-th frame only, 1 or 2.
    pub mode_change_period: u8,
    /// `mode-change-neighbor`: the mode may change to the next one in the set only.
    pub mode_change_neighbor: bool,
}

impl AmrFormat {
    /// Reads the parameters of AMR (`wide` false) or AMR-WB.
    pub(crate) fn parse(wide: bool, fmtp: Option<&str>) -> Result<Self, FormatError> {
        let parameters = Parameters::new(fmtp);
        for name in ["crc", "robust-sorting"] {
            if parameters.flag(name)? {
                return Err(FormatError::Unsupported(name));
            }
        }
        if parameters.value("interleaving").is_some() {
            return Err(FormatError::Unsupported("interleaving"));
        }
        // What it means for us to have said so is in the encoder; that it is in range is checked.
        parameters.number("mode-change-capability", 1..=2)?;
        parameters.number("max-red", 0..=65_535)?;
        let period = parameters.number("mode-change-period", 1..=2)?.unwrap_or(1);
        Ok(Self {
            octet_align: parameters.flag("octet-align")?,
            modes: ModeSet::parse(wide, parameters.value("mode-set"))?,
            mode_change_period: period as u8,
            mode_change_neighbor: parameters.flag("mode-change-neighbor")?,
        })
    }
}

/// A set of speech modes: of AMR 0 to 7, of AMR-WB 0 to 8. Never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ModeSet(u16);

impl ModeSet {
    /// All eight modes of AMR.
    pub const NARROW: Self = Self(0x0ff);
    /// All nine modes of AMR-WB.
    pub const WIDE: Self = Self(0x1ff);

    fn parse(wide: bool, text: Option<&str>) -> Result<Self, FormatError> {
        let all = if wide { Self::WIDE } else { Self::NARROW };
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
