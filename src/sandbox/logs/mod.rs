//! CloudWatch Logs: log groups. The protocol is awsJson 1.1.
//!
//! Entry point: [`API`]. Streams and events are not simulated: a log group is something that services leave behind.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::api::{Api, Context, Effect, Known, Run};
use super::options::Throttle;
use super::protocol::{ApiError, Json, Wire};
use super::world::Region;
use super::world::rows::{Head, LogGroup, Tags};

/// The service.
pub(crate) const API: Api = Api {
    name: "logs",
    global: false,
    wire: Wire::Json,
    // "CloudWatch Logs quotas": 10 requests a second for each of these operations.
    limits: Some(Throttle { reads: (10.0, 10.0), writes: (10.0, 10.0) }),
    find: |name| find(name).map(|operation| Known { name: operation.name, effect: operation.effect }),
    run: Run::Json(|name, document, context| {
        let operation = find(name)?;
        (operation.run)(&mut Call::of(document, context))
    }),
};

type Answer = Result<Value, ApiError>;

struct Operation {
    name: &'static str,
    effect: Effect,
    run: fn(&mut Call<'_>) -> Answer,
}

const fn reads(name: &'static str, run: fn(&mut Call<'_>) -> Answer) -> Operation {
    Operation { name, effect: Effect::Reads, run }
}

const fn writes(name: &'static str, run: fn(&mut Call<'_>) -> Answer) -> Operation {
    Operation { name, effect: Effect::Writes, run }
}

const OPERATIONS: &[Operation] = &[
    writes("CreateLogGroup", create),
    writes("DeleteLogGroup", delete),
    reads("DescribeLogGroups", describe),
    writes("PutRetentionPolicy", put_retention),
    writes("DeleteRetentionPolicy", delete_retention),
    reads("ListTagsForResource", list_tags),
    writes("TagResource", tag),
    writes("UntagResource", untag),
];

fn find(name: &str) -> Result<&'static Operation, ApiError> {
    let unknown = || ApiError::new("UnknownOperationException", format!("The sandbox does not know {name}"));
    OPERATIONS.iter().find(|operation| operation.name == name).ok_or_else(unknown)
}

/// One call.
struct Call<'a> {
    region: &'a mut Region,
    account: String,
    document: Json<'a>,
    now: jiff::Timestamp,
}

impl<'a> Call<'a> {
    fn of(document: Json<'a>, context: &'a mut Context<'_>) -> Self {
        let now = context.now;
        let (region, mint) = context.world.region(context.region, now);
        Self { region, account: mint.account.clone(), document, now }
    }

    /// The ARN of a log group.
    fn arn(&self, name: &str) -> String {
        format!("arn:aws:logs:{}:{}:log-group:{name}", self.region.name, self.account)
    }
}

/// For how many days events can be kept (`PutRetentionPolicy`).
const RETENTIONS: &[u32] =
    &[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];
const MAX_TAGS: usize = 50;

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidParameterException", message)
}

fn constraint(value: &str, at: &str, why: &str) -> ApiError {
    invalid(format!(
        "1 validation error detected: Value '{value}' at '{at}' failed to satisfy constraint: Member must {why}"
    ))
}

fn not_found() -> ApiError {
    ApiError::new("ResourceNotFoundException", "The specified log group does not exist.")
}

fn name(document: Json<'_>) -> Result<&str, ApiError> {
    let name = document.required("logGroupName")?;
    check_name(name, "logGroupName")?;
    Ok(name)
}

fn check_name(name: &str, at: &str) -> Result<(), ApiError> {
    if name.len() > 512 {
        return Err(constraint(name, at, "have length less than or equal to 512"));
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_/#".contains(&byte)) {
        return Err(constraint(name, at, "satisfy regular expression pattern: [\\.\\-_/#A-Za-z0-9]+"));
    }
    Ok(())
}

/// Refuses tags that cannot be.
fn check_tags(tags: &Tags) -> Result<(), ApiError> {
    for (key, value) in tags {
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(invalid("aws: prefixed tag key names are not allowed for external use."));
        }
        if key.is_empty() || key.chars().count() > 128 {
            return Err(constraint(key, "tags", "have length between 1 and 128"));
        }
        if value.chars().count() > 256 {
            return Err(constraint(value, "tags", "have length less than or equal to 256"));
        }
    }
    Ok(())
}

fn create(call: &mut Call<'_>) -> Answer {
    let name = name(call.document)?;
    let tags = call.document.map("tags");
    check_tags(&tags)?;
    if tags.len() > MAX_TAGS {
        return Err(ApiError::new("TooManyTagsException", "A resource can have no more than 50 tags."));
    }
    if call.region.log_groups.get(name).is_some() {
        return Err(ApiError::new("ResourceAlreadyExistsException", "The specified log group already exists"));
    }
    let head = Head { id: name.to_owned(), created_at: call.now, visible_at: call.now, tags, native: false };
    call.region.log_groups.insert(LogGroup { head, retention_days: None });
    Ok(json!({}))
}

fn delete(call: &mut Call<'_>) -> Answer {
    let name = name(call.document)?;
    call.region.log_groups.remove(name).map(|_| json!({})).ok_or_else(not_found)
}

fn describe(call: &mut Call<'_>) -> Answer {
    let document = call.document;
    let (prefix, pattern) = (document.text("logGroupNamePrefix"), document.text("logGroupNamePattern"));
    if prefix.is_some() && pattern.is_some() {
        return Err(invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters."));
    }
    if let Some(prefix) = prefix {
        check_name(prefix, "logGroupNamePrefix")?;
    }
    let limit = match document.integer("limit")? {
        None => 50,
        Some(limit @ 1..=50) => usize::try_from(limit).unwrap_or(50),
        Some(wrong @ ..=0) => {
            return Err(constraint(&wrong.to_string(), "limit", "have value greater than or equal to 1"));
        }
        Some(wrong) => return Err(constraint(&wrong.to_string(), "limit", "have value less than or equal to 50")),
    };
    let after = match document.text("nextToken") {
        None => None,
        Some(token) => {
            let bytes = data_encoding::BASE64URL_NOPAD.decode(token.as_bytes()).ok();
            let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
            Some(text.ok_or_else(|| invalid("The specified nextToken is invalid."))?)
        }
    };
    let lower = pattern.map(str::to_ascii_lowercase);
    let mut found = call.region.log_groups.iter().filter(|group| {
        let id = group.head.id.as_str();
        prefix.is_none_or(|prefix| id.starts_with(prefix))
            && lower.as_ref().is_none_or(|pattern| id.to_ascii_lowercase().contains(pattern))
            && after.as_deref().is_none_or(|after| id > after)
    });
    let page: Vec<&LogGroup> = found.by_ref().take(limit).collect();
    let groups: Vec<Value> = page.iter().map(|group| write(call, group)).collect();
    let mut answer = json!({ "logGroups": groups });
    if found.next().is_some()
        && let Some(last) = page.last()
    {
        answer["nextToken"] = data_encoding::BASE64URL_NOPAD.encode(last.head.id.as_bytes()).into();
    }
    Ok(answer)
}

fn write(call: &Call<'_>, group: &LogGroup) -> Value {
    let arn = call.arn(&group.head.id);
    let mut answer = json!({
        "logGroupName": group.head.id,
        "creationTime": group.head.created_at.as_millisecond(),
        "metricFilterCount": 0,
        // The older form ends with a star, the newer one does not.
        "arn": format!("{arn}:*"),
        "logGroupArn": arn,
        "storedBytes": 0,
        "logGroupClass": "STANDARD",
    });
    if let Some(days) = group.retention_days {
        answer["retentionInDays"] = days.into();
    }
    answer
}

fn put_retention(call: &mut Call<'_>) -> Answer {
    let name = name(call.document)?;
    let days = call.document.integer("retentionInDays")?.and_then(|days| u32::try_from(days).ok());
    let Some(days) = days.filter(|days| RETENTIONS.contains(days)) else {
        return Err(constraint(
            &call.document.at("retentionInDays").map_or_else(|| "null".to_owned(), |days| days.value().to_string()),
            "retentionInDays",
            &format!("satisfy enum value set: {RETENTIONS:?}"),
        ));
    };
    call.region
        .log_groups
        .edit(name, |group| group.retention_days = Some(days))
        .map(|()| json!({}))
        .ok_or_else(not_found)
}

fn delete_retention(call: &mut Call<'_>) -> Answer {
    let name = name(call.document)?;
    call.region.log_groups.edit(name, |group| group.retention_days = None).map(|()| json!({})).ok_or_else(not_found)
}

/// The name of the log group that an ARN names.
fn resource(call: &Call<'_>) -> Result<String, ApiError> {
    let arn = call.document.required("resourceArn")?;
    let prefix = call.arn("");
    let Some(name) = arn.strip_prefix(&prefix) else {
        return Err(invalid(format!("The ARN '{arn}' is not valid for a log group of this account and region")));
    };
    let name = name.trim_end_matches(":*");
    call.region.log_groups.get(name).map(|group| group.head.id.clone()).ok_or_else(not_found)
}

fn list_tags(call: &mut Call<'_>) -> Answer {
    let name = resource(call)?;
    let tags: BTreeMap<String, String> =
        call.region.log_groups.get(&name).map(|group| group.head.tags.clone()).unwrap_or_default();
    Ok(json!({ "tags": tags }))
}

fn tag(call: &mut Call<'_>) -> Answer {
    let name = resource(call)?;
    let given = call.document.map("tags");
    check_tags(&given)?;
    let mut tags = call.region.log_groups.get(&name).map(|group| group.head.tags.clone()).unwrap_or_default();
    tags.extend(given);
    if tags.len() > MAX_TAGS {
        return Err(ApiError::new("TooManyTagsException", "A resource can have no more than 50 tags."));
    }
    call.region.log_groups.edit(&name, |group| group.head.tags = tags);
    Ok(json!({}))
}

fn untag(call: &mut Call<'_>) -> Answer {
    let name = resource(call)?;
    let keys = call.document.texts("tagKeys");
    call.region.log_groups.edit(&name, |group| group.head.tags.retain(|key, _| !keys.contains(&key.as_str())));
    Ok(json!({}))
}
