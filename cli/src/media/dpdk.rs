//! The `dpdk` back-end: what a file may say of it, and how it is opened where the build has it.

use serde::{Deserialize, Serialize};

use super::config::{ConfigError, error};

/// `[dpdk]`: what the back-end of this name is told.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DpdkFile {
    /// Arguments for DPDK itself, as on its command line.
    pub eal: Option<String>,
    /// Descriptors of each ring of each queue.
    pub descriptors: Option<u16>,
    /// The devices.
    pub device: Option<Vec<DeviceFile>>,
}

/// `[[dpdk.device]]`: one device.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceFile {
    /// Its name with its driver's options, as DPDK has it.
    pub name: String,
    /// Our addresses there: `ADDRESS/BITS via ROUTER vlan ID`.
    pub networks: Vec<String>,
}

impl DpdkFile {
    /// The one device that flags can describe.
    pub fn from_flags(
        eal: Option<String>,
        device: Option<String>,
        networks: Option<Vec<String>>,
    ) -> Option<Self> {
        let is_told = eal.is_some() || device.is_some() || networks.is_some();
        let device = (device.is_some() || networks.is_some()).then(|| DeviceFile {
            name: device.unwrap_or_default(),
            networks: networks.unwrap_or_default(),
        });
        is_told.then(|| Self {
            eal,
            device: device.map(|device| vec![device]),
            ..Self::default()
        })
    }

    /// Lays what flags say over this: devices replace those of the file.
    pub fn overridden_by(self, over: Option<Self>) -> Self {
        let over = over.unwrap_or_default();
        Self {
            eal: over.eal.or(self.eal),
            descriptors: over.descriptors.or(self.descriptors),
            device: over.device.or(self.device),
        }
    }
}

#[cfg(feature = "dpdk")]
mod built {
    use dataplane::io::dpdk::{DEVICES_MAX, DeviceConfig, DpdkConfig, NETWORKS_MAX, Network};

    use super::{ConfigError, DeviceFile, DpdkFile, error};

    /// Descriptors of a ring: those of a burst, and what a device can want.
    const DESCRIPTORS: std::ops::RangeInclusive<u16> = 64..=32_768;

    impl DpdkFile {
        /// Checks what is said for so many workers.
        ///
        /// # Errors
        /// The first key that cannot be used.
        pub fn validate(self, workers: usize) -> Result<DpdkConfig, ConfigError> {
            let defaults = DpdkConfig::default();
            let descriptors = self.descriptors.unwrap_or(defaults.descriptors);
            if !DESCRIPTORS.contains(&descriptors) {
                let remedy = "give 64 to 32768";
                return Err(error("dpdk.descriptors", descriptors, remedy));
            }
            let files = self.device.unwrap_or_default();
            if files.is_empty() || files.len() > DEVICES_MAX {
                let remedy = format!(
                    "name 1 to {DEVICES_MAX} devices, by [[dpdk.device]] or --device with --network"
                );
                return Err(error("dpdk.device", files.len(), remedy));
            }
            let mut devices: Vec<DeviceConfig> = Vec::new();
            for (index, file) in files.into_iter().enumerate() {
                devices.push(file.validate(&format!("dpdk.device[{index}]"))?);
            }
            let eal = self.eal.unwrap_or_default();
            Ok(DpdkConfig {
                eal: eal.split_whitespace().map(str::to_owned).collect(),
                devices,
                workers,
                descriptors,
                ..defaults
            })
        }
    }

    impl DeviceFile {
        fn validate(self, at: &str) -> Result<DeviceConfig, ConfigError> {
            let key = |name: &str| format!("{at}.{name}");
            if self.name.is_empty() || self.name.contains(char::is_whitespace) {
                let remedy = "name a device as DPDK does: 0000:3b:00.0";
                return Err(error(&key("name"), format!("{:?}", self.name), remedy));
            }
            if self.networks.is_empty() || self.networks.len() > NETWORKS_MAX {
                let remedy = format!("give 1 to {NETWORKS_MAX} networks, or leave the device out");
                return Err(error(&key("networks"), self.networks.len(), remedy));
            }
            let networks: Result<Vec<Network>, ConfigError> = self
                .networks
                .iter()
                .map(|text| {
                    let fault =
                        |fault| error(&key("networks"), format!("{text:?}"), format!("{fault}"));
                    text.parse()
                        .map_err(|wrong: dataplane::io::dpdk::NotANetwork| fault(wrong))
                })
                .collect();
            Ok(DeviceConfig {
                name: self.name,
                networks: networks?,
            })
        }
    }
}

#[cfg(feature = "dpdk")]
pub use dataplane::io::dpdk::DpdkConfig;

/// What no file can say: the build lacks the back-end.
#[cfg(not(feature = "dpdk"))]
pub type DpdkConfig = std::convert::Infallible;

#[cfg(not(feature = "dpdk"))]
impl DpdkFile {
    /// Says that the build lacks the back-end.
    ///
    /// # Errors
    /// Always.
    pub fn validate(self, _: usize) -> Result<DpdkConfig, ConfigError> {
        let remedy = "this build has no DPDK: cargo build --release --features dpdk";
        Err(error("io", "dpdk", remedy))
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::{MediaConfig, MediaFile};
    use super::*;

    fn config(text: &str) -> Result<MediaConfig, ConfigError> {
        MediaFile::parse(text).and_then(MediaFile::validate)
    }

    #[test]
    fn devices_without_the_back_end_are_a_contradiction() {
        let text = "[[dpdk.device]]\nname = \"net_null0\"\nnetworks = []\n";
        assert_eq!(config(text).expect_err("refused").key, "dpdk");
    }

    #[test]
    #[cfg(not(feature = "dpdk"))]
    fn a_build_without_it_says_so() {
        let fault = config("io = \"dpdk\"").expect_err("refused");
        assert!(fault.to_string().contains("--features dpdk"), "{fault}");
    }

    #[test]
    #[cfg(feature = "dpdk")]
    fn devices_are_told_what_the_file_says() {
        let text = "io = \"dpdk\"\ncores = \"0,1\"\n[dpdk]\neal = \"--no-huge  -m 512\"\n\
                    descriptors = 512\n[[dpdk.device]]\nname = \"net_memif0,role=client\"\n\
                    networks = [\"192.0.2.1/24 via 192.0.2.254 vlan 7\", \"2001:db8::1/64\"]\n";
        let config = config(text).expect("valid").dpdk.expect("told");
        assert_eq!((config.workers, config.descriptors), (2, 512));
        assert_eq!(config.eal, ["--no-huge", "-m", "512"]);
        let [device] = &config.devices[..] else {
            panic!("one device");
        };
        assert_eq!(device.name, "net_memif0,role=client");
        assert_eq!(device.networks[0].vlan, Some(7));
        assert_eq!(device.networks[1].to_string(), "2001:db8::1/64");
    }

    #[test]
    #[cfg(feature = "dpdk")]
    fn each_bad_value_names_its_key() {
        let device = |rest: &str| format!("[[dpdk.device]]\n{rest}");
        for (rest, key) in [
            (String::new(), "dpdk.device"),
            (
                format!(
                    "[dpdk]\ndescriptors = 1\n{}",
                    device("name = \"a\"\nnetworks = []")
                ),
                "dpdk.descriptors",
            ),
            (device("name = \"\"\nnetworks = []"), "dpdk.device[0].name"),
            (
                device("name = \"a\"\nnetworks = []"),
                "dpdk.device[0].networks",
            ),
            (
                device("name = \"a\"\nnetworks = [\"192.0.2.1\"]"),
                "dpdk.device[0].networks",
            ),
        ] {
            let text = format!("io = \"dpdk\"\n{rest}");
            let fault = config(&text).expect_err("refused");
            assert_eq!(fault.key, key, "{text}");
        }
    }

    #[test]
    fn flags_describe_one_device() {
        assert_eq!(DpdkFile::from_flags(None, None, None), None);
        let networks = Some(vec!["192.0.2.1/24".to_owned()]);
        let flags = DpdkFile::from_flags(None, Some("net_null0".into()), networks);
        let file = DpdkFile {
            eal: Some("--no-huge".into()),
            descriptors: Some(256),
            device: Some(Vec::new()),
        };
        let both = file.overridden_by(flags);
        assert_eq!(
            (both.eal.as_deref(), both.descriptors),
            (Some("--no-huge"), Some(256))
        );
        assert_eq!(both.device.expect("told")[0].name, "net_null0");
    }
}
