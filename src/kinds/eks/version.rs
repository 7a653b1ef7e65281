//! Kubernetes minor versions, and the way from one to another.

use std::fmt;
use std::str::FromStr;

/// A Kubernetes minor version, for example `1.35`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Minor {
    major: u32,
    minor: u32,
}

/// A text is not a minor version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotAMinor;

impl Minor {
    /// Every version on the way from this one up to `to`, both ends included; `None` where there is no way up.
    pub(super) fn way_to(self, to: Self) -> Option<Vec<Self>> {
        (self.major == to.major && self.minor <= to.minor)
            .then(|| (self.minor..=to.minor).map(|minor| Self { minor, ..self }).collect())
    }
}

impl FromStr for Minor {
    type Err = NotAMinor;

    fn from_str(text: &str) -> Result<Self, NotAMinor> {
        let (major, minor) = text.split_once('.').ok_or(NotAMinor)?;
        let number = |part: &str| match part.bytes().all(|byte| byte.is_ascii_digit()) {
            true => part.parse().map_err(|_| NotAMinor),
            false => Err(NotAMinor),
        };
        Ok(Self { major: number(major)?, minor: number(minor)? })
    }
}

impl fmt::Display for Minor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Why a control plane cannot go from one version to another in one step; `None` if it can.
pub(super) fn refusal(from: &str, to: &str) -> Option<String> {
    let (from, to): (Minor, Minor) = (from.parse().ok()?, to.parse().ok()?);
    let Some(way) = from.way_to(to) else {
        return Some(format!("a control plane never goes back: it runs {from}, and {to} is declared"));
    };
    let [_, next, _, ..] = way.as_slice() else { return None };
    let steps: Vec<String> = way.iter().map(ToString::to_string).collect();
    Some(format!("a control plane moves one minor version at a time: {}; apply with {next} first", steps.join(" → ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_step_up_is_fine_and_any_other_is_refused_with_the_way() {
        assert_eq!(refusal("1.34", "1.34"), None);
        assert_eq!(refusal("1.34", "1.35"), None);
        assert_eq!(
            refusal("1.33", "1.35").as_deref(),
            Some("a control plane moves one minor version at a time: 1.33 → 1.34 → 1.35; apply with 1.34 first")
        );
        assert_eq!(
            refusal("1.35", "1.34").as_deref(),
            Some("a control plane never goes back: it runs 1.35, and 1.34 is declared")
        );
        assert_eq!(refusal("", "1.34"), None);
        assert!("1.+3".parse::<Minor>().is_err());
    }
}
