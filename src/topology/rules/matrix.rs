//! Which versions go together: Istio with Kubernetes, and Kubernetes with EKS.
//!
//! Entry points: [`istio`] and [`eks`]. The tables are facts of a day ([`AS_OF`]); a plan that goes online asks
//! EKS itself. Sources: istio/istio `data/compatibility/supportStatus.yml` and istio.io's supported releases for
//! Istio; the EKS user guide's Kubernetes versions and endoflife.date for EKS.

use crate::topology::schema::{IstioVersion, KubernetesVersion};

/// The day on which the tables were true. Dates are compared with it and never with a clock, so that the same
/// topology always gets the same answer.
pub const AS_OF: &str = "2026-11-01";

/// What is known of a minor release of Istio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IstioMinor {
    /// The `31` of 1.31.
    pub minor: u16,
    /// The oldest supported Kubernetes, as its minor version.
    pub oldest_kubernetes: u16,
    /// The newest supported Kubernetes, as its minor version.
    pub newest_kubernetes: u16,
    /// Whether it still got fixes on [`AS_OF`].
    pub maintained: bool,
}

/// What is known of a minor version of Kubernetes on EKS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EksMinor {
    /// The `35` of 1.35.
    pub minor: u16,
    /// The last day of standard support, `YYYY-MM-DD`; empty when it is not announced.
    pub standard_until: &'static str,
    /// The last day of extended support; empty when it is not announced.
    pub extended_until: &'static str,
}

/// Where a Kubernetes version is in its life on EKS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EksSupport {
    /// In standard support, to the day given (empty when it is not announced).
    Standard(&'static str),
    /// In paid extended support; standard support ended on the day given.
    Extended(&'static str),
    /// Offered no more, or not yet.
    NotOffered,
}

const fn istio_minor(minor: u16, oldest_kubernetes: u16, newest_kubernetes: u16, maintained: bool) -> IstioMinor {
    IstioMinor { minor, oldest_kubernetes, newest_kubernetes, maintained }
}

const fn eks_minor(minor: u16, standard_until: &'static str, extended_until: &'static str) -> EksMinor {
    EksMinor { minor, standard_until, extended_until }
}

/// The minor releases of Istio 1, oldest first. The row of 1.31 is that of 1.30: its code demands Kubernetes 1.32,
/// its own row was not published when the table was made.
pub const ISTIO: &[IstioMinor] = &[
    istio_minor(26, 29, 33, false),
    istio_minor(27, 29, 33, false),
    istio_minor(28, 30, 34, false),
    istio_minor(29, 31, 35, false),
    istio_minor(30, 32, 36, true),
    istio_minor(31, 32, 36, true),
];

/// The minor versions of Kubernetes 1 that EKS has offered, oldest first: 14 months of standard support, then 12
/// of extended support.
pub const EKS: &[EksMinor] = &[
    eks_minor(29, "2025-03-23", "2026-03-23"),
    eks_minor(30, "2025-07-23", "2026-07-23"),
    eks_minor(31, "2025-11-26", "2026-11-26"),
    eks_minor(32, "2026-03-23", "2027-03-23"),
    eks_minor(33, "2026-07-29", "2027-07-29"),
    eks_minor(34, "2026-12-02", "2027-12-02"),
    eks_minor(35, "2027-03-27", "2028-03-27"),
    eks_minor(36, "", ""),
];

/// What is known of an Istio release; `None` if its minor is not in the table.
#[must_use]
pub fn istio(version: IstioVersion) -> Option<&'static IstioMinor> {
    ISTIO.iter().find(|row| version.major == 1 && row.minor == version.minor)
}

/// Where a Kubernetes version is in its life on EKS.
#[must_use]
pub fn eks(version: KubernetesVersion) -> EksSupport {
    match EKS.iter().find(|row| version.major == 1 && row.minor == version.minor) {
        // ISO dates sort as texts.
        Some(row) if row.standard_until.is_empty() || row.standard_until >= AS_OF => {
            EksSupport::Standard(row.standard_until)
        }
        Some(row) if row.extended_until >= AS_OF => EksSupport::Extended(row.standard_until),
        Some(_) | None => EksSupport::NotOffered,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::{DEFAULT_ISTIO, DEFAULT_KUBERNETES};

    #[test]
    fn the_defaults_go_together_and_are_supported() {
        let row = istio(DEFAULT_ISTIO).unwrap();
        assert!(row.maintained);
        assert!((row.oldest_kubernetes..=row.newest_kubernetes).contains(&DEFAULT_KUBERNETES.minor));
        assert_eq!(eks(DEFAULT_KUBERNETES), EksSupport::Standard("2027-03-27"));
    }

    #[test]
    fn a_version_ages() {
        let of = |minor| eks(KubernetesVersion { major: 1, minor });
        assert_eq!(of(30), EksSupport::NotOffered);
        assert_eq!(of(33), EksSupport::Extended("2026-07-29"));
        assert_eq!(of(34), EksSupport::Standard("2026-12-02"));
        assert_eq!(of(36), EksSupport::Standard(""));
        assert_eq!(of(37), EksSupport::NotOffered);
        assert_eq!(eks(KubernetesVersion { major: 2, minor: 35 }), EksSupport::NotOffered);
    }

    #[test]
    fn tables_are_in_order_and_without_gaps() {
        assert!(ISTIO.windows(2).all(|pair| pair[1].minor == pair[0].minor + 1));
        assert!(EKS.windows(2).all(|pair| pair[1].minor == pair[0].minor + 1));
        assert!(EKS.windows(2).all(|p| p[0].standard_until < p[1].standard_until || p[1].standard_until.is_empty()));
    }
}
