//! The DNS records that RFC 3263 reads.

use base::Entropy;

/// Most records of one answer that are read.
pub const RECORDS_MAX: usize = 32;

/// A NAPTR record, RFC 3403 4.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naptr {
    /// Lower first.
    pub order: u16,
    /// Among the same order, lower first.
    pub preference: u16,
    /// `s`: the replacement is the name of SRV records.
    pub flags: String,
    /// `SIP+D2U` and the like.
    pub service: String,
    /// Where to go on.
    pub replacement: String,
}

impl Naptr {
    pub(super) fn is_terminal_srv(&self) -> bool {
        self.flags.eq_ignore_ascii_case("s") && !self.replacement.trim_end_matches('.').is_empty()
    }
}

/// An SRV record, RFC 2782.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Srv {
    /// Lower first.
    pub priority: u16,
    /// Share among those of the same priority.
    pub weight: u16,
    /// Port of the service.
    pub port: u16,
    /// Name to look up for addresses.
    pub target: String,
}

/// The records in the order to try them: by priority, and drawn by weight within one (RFC 2782).
pub(super) fn in_order(mut records: Vec<Srv>, entropy: &mut Entropy) -> Vec<Srv> {
    records.truncate(RECORDS_MAX);
    // Weights of zero come first, so that they have a small chance of being drawn.
    records.sort_by_key(|record| (record.priority, record.weight != 0));
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(first) = records.first() {
        let priority = first.priority;
        let group = records
            .iter()
            .take_while(|record| record.priority == priority);
        let sum: u64 = group.map(|record| u64::from(record.weight)).sum();
        let drawn = entropy.below(sum + 1);
        let mut running = 0;
        let chosen = records.iter().position(|record| {
            running += u64::from(record.weight);
            running >= drawn
        });
        ordered.push(records.remove(chosen.unwrap_or(0)));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn srv(priority: u16, weight: u16, port: u16) -> Srv {
        Srv {
            priority,
            weight,
            port,
            target: "t.test".to_owned(),
        }
    }

    #[test]
    fn priorities_come_in_order_and_weights_are_shares() {
        let mut entropy = Entropy::from_u64(1);
        let records = vec![
            srv(20, 100, 4),
            srv(10, 60, 1),
            srv(10, 20, 2),
            srv(10, 20, 3),
        ];
        let mut firsts = [0; 5];
        for _ in 0..10_000 {
            let ordered = in_order(records.clone(), &mut entropy);
            assert_eq!(ordered.len(), 4);
            assert_eq!(ordered[3].port, 4);
            firsts[usize::from(ordered[0].port)] += 1;
        }
        assert!((5700..6300).contains(&firsts[1]), "{firsts:?}");
        assert!((1800..2200).contains(&firsts[2]), "{firsts:?}");
        assert!((1800..2200).contains(&firsts[3]), "{firsts:?}");
    }

    #[test]
    fn a_weight_of_zero_is_drawn_seldom_and_alone_works() {
        let mut entropy = Entropy::from_u64(2);
        let records = vec![srv(1, 9, 1), srv(1, 0, 2)];
        let zero_first = (0..10_000)
            .filter(|_| in_order(records.clone(), &mut entropy)[0].port == 2)
            .count();
        assert!((800..1200).contains(&zero_first), "{zero_first}");
        assert_eq!(in_order(vec![srv(1, 0, 1)], &mut entropy).len(), 1);
        assert!(in_order(Vec::new(), &mut entropy).is_empty());
        let many = vec![srv(1, u16::MAX, 1); 100];
        assert_eq!(in_order(many, &mut entropy).len(), RECORDS_MAX);
    }
}
