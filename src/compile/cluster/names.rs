//! Names in AWS that are derived from the topology's.

use crate::model::Digest;

/// The longest name of an IAM role.
const ROLE: usize = 64;

/// Characters of the hash that tells cut names apart: 32 bits, for a handful of names in one account.
const HASH: usize = 8;

/// What a role is for: the end of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    ControlPlane,
    Node,
    VpcCni,
    LoadBalancerController,
}

impl Role {
    /// The last part of its address.
    pub(super) fn part(self) -> &'static str {
        match self {
            Self::ControlPlane => "control-plane",
            Self::Node => "node",
            Self::VpcCni => "vpc-cni",
            Self::LoadBalancerController => "load-balancer-controller",
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::ControlPlane => "-eks",
            Self::Node => "-node",
            Self::VpcCni => "-cni",
            Self::LoadBalancerController => "-lbc",
        }
    }
}

/// The name of a cluster's role: `MESH-CLUSTER-eks`. One that is too long is cut, and what was cut is told apart by a
/// hash of the whole, so that the same topology always means the same name.
pub(super) fn role(mesh: &str, cluster: &str, role: Role) -> String {
    let suffix = role.suffix();
    let whole = format!("{mesh}-{cluster}{suffix}");
    if whole.len() <= ROLE {
        return whole;
    }
    let digest = Digest::of(&whole).to_string();
    let hash: String = digest.chars().take(HASH).collect();
    let room = ROLE - suffix.len() - HASH - 1;
    // Names are DNS labels, so that any byte is a character's end.
    let kept = whole.get(..room).unwrap_or_default().trim_end_matches('-');
    format!("{kept}-{hash}{suffix}")
}

/// The last part of a principal's ARN as a part of an address, where other characters are allowed than IAM's.
pub(super) fn of_principal(arn: &str) -> String {
    let last = arn.rsplit('/').next().unwrap_or(arn);
    let part: String =
        last.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect();
    if part == last { part } else { format!("{part}-{}", short_hash(arn)) }
}

/// Six characters that tell two principals with one name apart.
pub(super) fn short_hash(text: &str) -> String {
    Digest::of(text).to_string().chars().take(6).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_fit_are_as_they_are() {
        assert_eq!(role("mesh1", "cluster-1", Role::ControlPlane), "mesh1-cluster-1-eks");
        assert_eq!(role("mesh1", "cluster-1", Role::LoadBalancerController), "mesh1-cluster-1-lbc");
        assert_eq!(role(&"m".repeat(30), &"c".repeat(28), Role::Node).len(), 64);
    }

    #[test]
    fn names_that_do_not_fit_are_cut_and_stay_apart() {
        let long = "c".repeat(63);
        let names: std::collections::BTreeSet<String> = [Role::ControlPlane, Role::Node, Role::VpcCni]
            .into_iter()
            .flat_map(|kind| ["a", "b"].map(|end| role("mesh1", &format!("{}{end}", &long[1..]), kind)))
            .collect();
        assert_eq!(names.len(), 6);
        assert!(names.iter().all(|name| name.len() <= 64), "{names:?}");
        let name = role("mesh1", &long, Role::Node);
        assert!(name.starts_with("mesh1-ccc") && name.ends_with("-node"), "{name}");
        assert_eq!(name, role("mesh1", &long, Role::Node));
    }

    #[test]
    fn a_principals_name_is_a_part_of_an_address() {
        assert_eq!(of_principal("arn:aws:iam::111122223333:role/team/platform-admin"), "platform-admin");
        let odd = of_principal("arn:aws:iam::111122223333:user/me@example.com");
        assert!(odd.starts_with("me-example.com-") && odd.len() == "me-example.com-".len() + 6, "{odd}");
    }
}
