//! Digit maps by name, of a termination or of the gateway: DigitMap descriptor, H.248.1 7.1.14.1.

use std::sync::Arc;

use h248::digit_map::{DigitMap, Fault};
use h248::error::ErrorCode;
use h248::message::{DigitMapDescriptor, DigitMapValue, Name};

use crate::error::{Result, about};

/// Digit maps that a termination may have; the same for the gateway.
pub(crate) const DIGIT_MAPS_MAX: usize = 16;

/// Octets of one digit map.
pub(crate) const DIGIT_MAP_OCTETS_MAX: usize = 4096;

/// Digit maps with their names, in the order they came.
#[derive(Clone, Debug, Default)]
pub(crate) struct DigitMaps {
    maps: Vec<Named>,
}

#[derive(Clone, Debug)]
struct Named {
    name: Name,
    value: Arc<DigitMapValue>,
    map: Arc<DigitMap>,
}

impl DigitMaps {
    /// Defines a map, defines one anew, or deletes one. Who uses it goes on with what it was.
    ///
    /// # Errors
    /// 472 without a name, 520 for the deletion of what is not defined, 519 when there is no room,
    /// 442 for what is no digit map; nothing is changed then.
    pub fn apply(&mut self, descriptor: &DigitMapDescriptor) -> Result<()> {
        let missing = || about(ErrorCode::INFORMATION_MISSING, "digit map name");
        let name = descriptor.name.as_ref().ok_or_else(missing)?;
        let known = self.maps.iter().position(|named| named.name == *name);
        let Some(value) = &descriptor.value else {
            let at = known.ok_or_else(|| about(ErrorCode::UNDEFINED_DIGIT_MAP, name))?;
            self.maps.remove(at);
            return Ok(());
        };
        let named = Named {
            name: name.clone(),
            map: read(value)?,
            value: Arc::new(value.clone()),
        };
        match known {
            Some(at) => self.maps[at] = named,
            None if self.maps.len() >= DIGIT_MAPS_MAX => {
                return Err(about(ErrorCode::NO_DIGIT_MAP_SPACE, name));
            }
            None => self.maps.push(named),
        }
        Ok(())
    }

    /// The map with this name.
    pub fn find(&self, name: &Name) -> Option<&Arc<DigitMap>> {
        let mut maps = self.maps.iter();
        Some(&maps.find(|named| named.name == *name)?.map)
    }

    /// Each as a descriptor, for audits.
    pub fn descriptors(&self) -> impl Iterator<Item = DigitMapDescriptor> + '_ {
        self.maps.iter().map(|named| DigitMapDescriptor {
            name: Some(named.name.clone()),
            value: Some(DigitMapValue::clone(&named.value)),
        })
    }
}

/// Reads a digit map.
///
/// # Errors
/// 442 with the place of the fault, 519 when it is too long.
pub(crate) fn read(value: &DigitMapValue) -> Result<Arc<DigitMap>> {
    if value.body.len() > DIGIT_MAP_OCTETS_MAX {
        return Err(about(ErrorCode::NO_DIGIT_MAP_SPACE, "DigitMap"));
    }
    let map = DigitMap::parse(value).map_err(|fault| match fault {
        Fault::Malformed(at) => about(fault.code(), format!("DigitMap at {at}")),
        fault => about(fault.code(), "DigitMap"),
    })?;
    Ok(Arc::new(map))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(name: &str, body: Option<&str>) -> DigitMapDescriptor {
        DigitMapDescriptor {
            name: (!name.is_empty()).then(|| Name::new(name)),
            value: body.map(|body| DigitMapValue {
                body: body.into(),
                ..DigitMapValue::default()
            }),
        }
    }

    fn apply(maps: &mut DigitMaps, name: &str, body: Option<&str>) -> std::result::Result<(), u16> {
        let applied = maps.apply(&descriptor(name, body));
        applied.map_err(|error| error.code.0)
    }

    #[test]
    fn maps_are_defined_redefined_and_deleted() {
        let mut maps = DigitMaps::default();
        assert_eq!(apply(&mut maps, "plan", Some("xx")), Ok(()));
        let first = Arc::clone(maps.find(&Name::new("PLAN")).unwrap());
        assert_eq!(apply(&mut maps, "Plan", Some("xxx")), Ok(()));
        assert_ne!(*maps.find(&Name::new("plan")).unwrap(), first);
        assert_eq!(maps.descriptors().count(), 1);
        assert_eq!(apply(&mut maps, "plan", None), Ok(()));
        assert_eq!(maps.find(&Name::new("plan")), None);
    }

    #[test]
    fn what_is_wrong_has_its_code_and_changes_nothing() {
        let mut maps = DigitMaps::default();
        assert_eq!(apply(&mut maps, "", Some("xx")), Err(472));
        assert_eq!(apply(&mut maps, "plan", None), Err(520));
        assert_eq!(apply(&mut maps, "plan", Some("(1|")), Err(442));
        let long = "1".repeat(DIGIT_MAP_OCTETS_MAX + 1);
        assert_eq!(apply(&mut maps, "plan", Some(&long)), Err(519));
        assert_eq!(maps.descriptors().count(), 0);
    }

    #[test]
    fn there_are_so_many_maps_and_no_more() {
        let mut maps = DigitMaps::default();
        for number in 0..DIGIT_MAPS_MAX {
            assert_eq!(apply(&mut maps, &format!("m{number}"), Some("x")), Ok(()));
        }
        assert_eq!(apply(&mut maps, "more", Some("x")), Err(519));
        assert_eq!(apply(&mut maps, "m0", Some("xx")), Ok(()));
        assert_eq!(apply(&mut maps, "m1", None), Ok(()));
        assert_eq!(apply(&mut maps, "more", Some("x")), Ok(()));
    }
}
