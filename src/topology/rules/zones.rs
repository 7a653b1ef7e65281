//! Availability zones: R13 and R14.

use super::codes::{EXISTING_FORM, ZONE_COUNT, ZONE_NAME, ZONE_UNSUPPORTED, ZONES_TOO_FEW};
use super::{Checked, network_at, region_at, value};
use crate::model::{AttrPath, Diagnostic};
use crate::topology::resolved::Network;
use crate::topology::schema::Azs;

/// No region has more (us-east-1 has six), and it is well inside what a /56 holds: 2 × 6 of 256 /64s.
pub(super) const MAX_ZONES: usize = 6;

/// Zones in which EKS's control plane cannot live, by id (EKS user guide, network requirements).
const UNSUPPORTED: [&str; 3] = ["use1-az3", "usw1-az2", "cac1-az3"];

pub(super) fn check(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    for network in checked.networks() {
        let at = network_at(network.name.as_str(), "azs");
        if let Some(existing) = &network.existing {
            let at = network_at(network.name.as_str(), "existing").key("private_subnets");
            let mistaken = checked.is_mistaken(&at);
            if existing.private_subnets.len() == 1 && !mistaken {
                diagnostics.push(
                    Diagnostic::error(ZONES_TOO_FEW, format!("{} has one private subnet", network.name))
                        .at(at)
                        .note("EKS puts its control plane into two availability zones")
                        .help("list a private subnet in a second zone"),
                );
            } else if existing.private_subnets.is_empty() && !existing.vpc_id.is_empty() && !mistaken {
                let written = checked.network_table(network.name.as_str()).and_then(|t| t.existing.as_ref());
                if written.is_some_and(|table| table.private_subnets.is_some()) {
                    diagnostics.push(
                        Diagnostic::error(EXISTING_FORM, format!("{} has no private subnet", network.name))
                            .at(at)
                            .help("list at least two, in two availability zones"),
                    );
                }
            }
            continue;
        }
        if checked.is_mistaken(&at) {
            continue;
        }
        count(network, &at, diagnostics);
        if let Azs::Names(names) = &network.azs {
            named(checked, network, names, &at, diagnostics);
        }
    }
}

fn count(network: &Network, at: &AttrPath, diagnostics: &mut Vec<Diagnostic>) {
    let count = network.azs.count();
    if count < 2 {
        diagnostics.push(
            Diagnostic::error(ZONES_TOO_FEW, format!("{} spans {count} availability zones", network.name))
                .at(at.clone())
                .label("at least 2")
                .note("EKS puts its control plane into two availability zones")
                .help("write `azs = 3`, which is the default"),
        );
    } else if count > MAX_ZONES {
        diagnostics.push(
            Diagnostic::error(ZONE_COUNT, format!("{} spans {count} availability zones", network.name))
                .at(at.clone())
                .label(format!("at most {MAX_ZONES}"))
                .note("no region offers more, and a /56 has 256 /64s for two subnets in each")
                .help("write `azs = 3`, which is the default"),
        );
    }
}

fn named(checked: &Checked<'_>, network: &Network, names: &[String], at: &AttrPath, diagnostics: &mut Vec<Diagnostic>) {
    let region = network.region.as_str();
    for (n, zone) in names.iter().enumerate() {
        let place = at.index(n);
        if let Some(first) = names.iter().take(n).position(|earlier| earlier == zone) {
            diagnostics.push(
                Diagnostic::error(ZONE_NAME, format!("`{zone}` is listed twice"))
                    .at(place)
                    .related(value(at.index(first)), "first here")
                    .help("name different zones"),
            );
        } else if UNSUPPORTED.contains(&zone.as_str()) {
            diagnostics.push(
                Diagnostic::error(ZONE_UNSUPPORTED, format!("EKS's control plane cannot live in {zone}"))
                    .at(place)
                    .help("name another zone of the region"),
            );
        } else if !is_zone_of(zone, region) {
            let local = zone.starts_with(region) && zone.len() > region.len() + 1;
            let found = Diagnostic::error(
                ZONE_NAME,
                if local {
                    format!("`{zone}` is a local or wavelength zone, which EKS's control plane cannot use")
                } else {
                    format!("`{zone}` is not a zone of {region}")
                },
            )
            .at(place)
            .related(value(region_at(checked, network.name.as_str())), "the region is from here");
            diagnostics.push(found.help(format!("names read `{region}a`, ids read `{}1`", id_prefix(region))));
        }
    }
}

/// What ids of a region's zones begin with: `usw2-az` for us-west-2.
fn id_prefix(region: &str) -> String {
    let mut parts = region.split('-');
    let mut prefix = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        // AWS shortens compass points to their letters: northeast is `ne`, south is `s`; and gov to `g`.
        prefix.push_str(match part {
            "northeast" => "ne",
            "northwest" => "nw",
            "southeast" => "se",
            "southwest" => "sw",
            "gov" => "g",
            other if other.starts_with(|c: char| c.is_ascii_digit()) => other,
            other => other.get(..1).unwrap_or_default(),
        });
    }
    prefix + "-az"
}

fn is_zone_of(zone: &str, region: &str) -> bool {
    let letter = |rest: &str| rest.len() == 1 && rest.bytes().all(|b| b.is_ascii_lowercase());
    let number = |rest: &str| (1..=2).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_digit());
    zone.strip_prefix(region).is_some_and(letter) || zone.strip_prefix(&id_prefix(region)).is_some_and(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_have_names_and_ids() {
        for (zone, region) in [
            ("us-west-2a", "us-west-2"),
            ("usw2-az4", "us-west-2"),
            ("use1-az6", "us-east-1"),
            ("apne1-az1", "ap-northeast-1"),
            ("euc1-az1", "eu-central-1"),
            ("cac1-az1", "ca-central-1"),
            ("usgw1-az1", "us-gov-west-1"),
        ] {
            assert!(is_zone_of(zone, region), "{zone} {region}");
        }
        for (zone, region) in [
            ("us-west-2", "us-west-2"),
            ("us-west-1a", "us-west-2"),
            ("us-west-2-lax-1a", "us-west-2"),
            ("", "us-west-2"),
        ] {
            assert!(!is_zone_of(zone, region), "{zone} {region}");
        }
    }
}
