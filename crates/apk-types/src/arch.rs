//! Architectures and their names in apk, Go and OCI.

use std::fmt;
use std::str::FromStr;

/// One architecture that apk repositories are made for.
///
/// Parses from any alias (`amd64`, `x86_64`; `arm64`, `aarch64`; `arm/v7`, `armv7`; ...) and displays as apk
/// names it. The aliases are those of the Go apko's `ParseArchitecture`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Arch {
    X86,
    X86_64,
    Aarch64,
    Armhf,
    Armv7,
    Loongarch64,
    Ppc64le,
    Riscv64,
    S390x,
}

/// A platform as OCI descriptors and image configurations name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Platform {
    /// Go's `GOARCH` value, such as `amd64`.
    pub architecture: &'static str,
    /// The variant where the architecture alone does not tell, such as `v7`.
    pub variant: Option<&'static str>,
}

/// An architecture name that no alias matches.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown architecture `{0}`; known are {known}", known = Arch::known_names())]
pub struct UnknownArch(pub String);

/// apk name, Go name (as Go's apko prints it), other aliases.
const NAMES: [(Arch, &str, &str, &[&str]); 9] = [
    (Arch::X86, "x86", "386", &["i386"]),
    (Arch::X86_64, "x86_64", "amd64", &[]),
    (Arch::Aarch64, "aarch64", "arm64", &[]),
    (Arch::Armhf, "armhf", "arm/v6", &["armv6"]),
    (Arch::Armv7, "armv7", "arm/v7", &[]),
    (Arch::Loongarch64, "loongarch64", "loong64", &[]),
    (Arch::Ppc64le, "ppc64le", "ppc64le", &[]),
    (Arch::Riscv64, "riscv64", "riscv64", &[]),
    (Arch::S390x, "s390x", "s390x", &[]),
];

impl Arch {
    /// Every architecture, in the order in which the Go apko lists them (by its Go name).
    pub const ALL: [Self; 9] = [
        Self::X86,
        Self::X86_64,
        Self::Aarch64,
        Self::Armhf,
        Self::Armv7,
        Self::Loongarch64,
        Self::Ppc64le,
        Self::Riscv64,
        Self::S390x,
    ];

    /// The architecture this program runs on, where apk packages exist for it.
    pub fn host() -> Option<Self> {
        match std::env::consts::ARCH {
            "arm" => Some(Self::Armv7),
            name => name.parse().ok(),
        }
    }

    /// The name in `.PKGINFO`, indexes and repository directories.
    pub fn apk_name(self) -> &'static str {
        NAMES[self as usize].1
    }

    /// The name in image configurations and tag suffixes, such as `amd64` or `arm/v7`.
    pub fn go_name(self) -> &'static str {
        NAMES[self as usize].2
    }

    /// The platform of OCI descriptors; the operating system is always `linux`.
    pub fn platform(self) -> Platform {
        let name = self.go_name();
        match name.split_once('/') {
            Some((architecture, variant)) => Platform {
                architecture,
                variant: Some(variant),
            },
            None => Platform {
                architecture: name,
                variant: None,
            },
        }
    }

    fn known_names() -> String {
        NAMES.map(|(_, apk, ..)| apk).join(", ")
    }
}

impl FromStr for Arch {
    type Err = UnknownArch;

    fn from_str(name: &str) -> Result<Self, UnknownArch> {
        NAMES
            .iter()
            .find(|(_, apk, go, others)| *apk == name || *go == name || others.contains(&name))
            .map(|(arch, ..)| *arch)
            .ok_or_else(|| UnknownArch(name.to_owned()))
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.apk_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_and_alias_finds_its_architecture() {
        for (index, (arch, apk, go, others)) in NAMES.iter().enumerate() {
            assert_eq!(*arch as usize, index);
            assert_eq!(Arch::ALL[index], *arch);
            for name in [apk, go].into_iter().chain(others.iter()) {
                assert_eq!(name.parse(), Ok(*arch));
            }
        }
    }

    #[test]
    fn variants_come_from_the_go_name() {
        assert_eq!(
            Arch::Armv7.platform(),
            Platform {
                architecture: "arm",
                variant: Some("v7")
            }
        );
        assert_eq!(
            Arch::Aarch64.platform(),
            Platform {
                architecture: "arm64",
                variant: None
            }
        );
    }

    #[test]
    fn an_unknown_name_is_named_in_the_error() {
        let error = "pdp11".parse::<Arch>().unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("unknown architecture `pdp11`; known are x86, x86_64")
        );
    }
}
