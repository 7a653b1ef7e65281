//! Tags of all objects of the service, by their ARNs.

use super::{check_arn, limit_tags, load_balancer, tags, target_group};
use crate::sandbox::protocol::{ApiError, Xml};
use crate::sandbox::query::{Answer, Call, Operation, constraint, reads, validation, write_tags, writes};
use crate::sandbox::world::rows::Tags;

pub(super) const OPERATIONS: &[Operation] = &[
    reads("DescribeTags", &["ResourceArns"], describe),
    writes("AddTags", &["ResourceArns", "Tags"], add),
    writes("RemoveTags", &["ResourceArns", "TagKeys"], remove),
];

/// How many ARNs one call may name.
const MAX_ARNS: usize = 20;

/// The objects that a call names, with their tags.
fn named<'a>(call: &'a Call<'_>) -> Result<Vec<(&'a str, &'a Tags)>, ApiError> {
    let arns = call.params.texts("ResourceArns.member");
    if arns.is_empty() {
        return Err(constraint("[]", "resourceArns", "have length greater than or equal to 1"));
    }
    if arns.len() > MAX_ARNS {
        return Err(validation(format!("Up to {MAX_ARNS} resource ARNs can be specified in a single call")));
    }
    arns.into_iter()
        .map(|arn| {
            let kind = arn.splitn(6, ':').nth(5).and_then(|rest| rest.split('/').next());
            let tags = match kind {
                Some("loadbalancer") => &load_balancer::find(call.region, arn)?.head.tags,
                Some("targetgroup") => &target_group::find(call.region, arn)?.head.tags,
                _ => {
                    check_arn(arn, "listener/", "resource")?;
                    let found = call.region.listeners.get(arn);
                    let none = || ApiError::new("ListenerNotFound", "One or more listeners not found");
                    &found.ok_or_else(none)?.head.tags
                }
            };
            Ok((arn, tags))
        })
        .collect()
}

fn describe(call: &mut Call<'_>) -> Answer {
    let mut xml = Xml::default();
    xml.members("TagDescriptions", named(call)?, |xml, (arn, tags)| {
        xml.text("ResourceArn", arn);
        write_tags(xml, tags);
    });
    Ok(xml)
}

fn add(call: &mut Call<'_>) -> Answer {
    let given = tags(call)?;
    let mut changed = Vec::new();
    for (arn, tags) in named(call)? {
        let mut all = tags.clone();
        all.extend(given.clone());
        limit_tags(&all)?;
        changed.push((arn.to_owned(), all));
    }
    for (arn, all) in changed {
        call.region.edit_tags(&arn, |tags| *tags = all);
    }
    Ok(Xml::default())
}

fn remove(call: &mut Call<'_>) -> Answer {
    let keys = call.params.texts("TagKeys.member");
    let arns: Vec<String> = named(call)?.into_iter().map(|(arn, _)| arn.to_owned()).collect();
    for arn in arns {
        call.region.edit_tags(&arn, |tags| tags.retain(|key, _| !keys.contains(&key.as_str())));
    }
    Ok(Xml::default())
}
