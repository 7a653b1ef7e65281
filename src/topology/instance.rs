//! What an instance type's name says of it.
//!
//! AWS names them FAMILY.SIZE, and a family is letters for its class, its generation, and letters for its traits: the
//! `g` of `m7g` and `c7gn` is a Graviton processor, the `g` of `g5` a class.

use std::fmt;

/// A processor's architecture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Architecture {
    /// Intel's and AMD's, 64 bits.
    #[default]
    X86,
    /// AWS Graviton, 64 bits.
    Arm,
}

impl Architecture {
    /// The architecture of an instance type.
    #[must_use]
    pub fn of(instance_type: &str) -> Self {
        let family = instance_type.split('.').next().unwrap_or_default();
        let traits = family.trim_start_matches(|c: char| c.is_ascii_alphabetic());
        let traits = traits.trim_start_matches(|c: char| c.is_ascii_digit());
        // The first generation of Graviton had a class of its own.
        if family == "a1" || traits.contains('g') { Self::Arm } else { Self::X86 }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::X86 => "x86",
            Self::Arm => "ARM",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graviton_is_a_trait_and_not_a_class() {
        for name in [
            "m7g.large",
            "c7gn.xlarge",
            "t4g.medium",
            "r8gd.large",
            "x2gd.large",
            "im4gn.large",
            "g5g.xlarge",
            "a1.large",
        ] {
            assert_eq!(Architecture::of(name), Architecture::Arm, "{name}");
        }
        for name in [
            "m6i.large",
            "g4dn.xlarge",
            "g5.xlarge",
            "t3a.medium",
            "x2iedn.large",
            "u7i-12tb.224xlarge",
            "nonsense",
            "",
        ] {
            assert_eq!(Architecture::of(name), Architecture::X86, "{name}");
        }
    }
}
