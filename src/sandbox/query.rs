//! What services of the protocol awsQuery (IAM, Elastic Load Balancing) share: a table of operations, and one call.
//!
//! Entry points: [`find`] and [`run`], from a service's [`super::api::Api`]. As in EC2, an operation reads its parameters, checks everything, and only then
//! changes the region; so a refused call has no effect.

use jiff::Timestamp;

use super::api::{Context, Effect, Known};
use super::iam::{self, InstanceProfile};
use super::options::Quotas;
use super::protocol::{ApiError, Node, Params, Xml};
use super::world::ids::Mint;
use super::world::rows::Tags;
use super::world::{GLOBAL, Place, Region};

/// What an operation answers.
pub(crate) type Answer = Result<Xml, ApiError>;

/// An operation of the API.
pub(crate) struct Operation {
    /// Its name.
    name: &'static str,
    /// Whether it changes anything.
    effect: Effect,
    /// The parameters it knows, besides those of every call.
    accepts: &'static [&'static str],
    run: fn(&mut Call<'_>) -> Answer,
}

/// An operation that only reads.
pub(crate) const fn reads(
    name: &'static str,
    accepts: &'static [&'static str],
    run: fn(&mut Call<'_>) -> Answer,
) -> Operation {
    Operation { name, effect: Effect::Reads, accepts, run }
}

/// An operation that may change something.
pub(crate) const fn writes(
    name: &'static str,
    accepts: &'static [&'static str],
    run: fn(&mut Call<'_>) -> Answer,
) -> Operation {
    Operation { name, effect: Effect::Writes, accepts, run }
}

/// One call.
pub(crate) struct Call<'a> {
    pub(crate) region: &'a mut Region,
    pub(crate) mint: &'a mut Mint,
    pub(crate) params: &'a Node,
    pub(crate) now: Timestamp,
    pub(crate) quotas: &'a Quotas,
    /// The instance profiles of the account, for calls to IAM.
    pub(crate) profiles: Vec<InstanceProfile>,
}

impl Call<'_> {
    /// The account that owns everything here.
    pub(crate) fn account(&self) -> &str {
        &self.mint.account
    }
}

/// The operation with this name, or the refusal of these services.
pub(crate) fn find(
    families: &'static [&'static [Operation]],
    name: &str,
    version: &str,
) -> Result<&'static Operation, ApiError> {
    families
        .iter()
        .copied()
        .flatten()
        .find(|operation| operation.name == name)
        .ok_or_else(|| ApiError::new("InvalidAction", format!("Could not find operation {name} for version {version}")))
}

impl Operation {
    /// What the way to it must know.
    pub(crate) fn known(&self) -> Known {
        Known { name: self.name, effect: self.effect }
    }
}

/// Runs an operation.
pub(crate) fn run(operation: &'static Operation, params: &Params, context: &mut Context<'_>) -> Answer {
    let known = |name: &&str| operation.accepts.contains(name) || matches!(*name, "Action" | "Version");
    if let Some(unknown) = params.names().find(|name| !known(name)) {
        return Err(ApiError::new(
            "UnknownParameter",
            format!("The parameter {unknown} is not recognized (the sandbox knows a part of {})", operation.name),
        ));
    }
    // What follows from all regions must be asked for before one of them is held.
    let profiles = if context.region == GLOBAL { iam::profiles(context.world) } else { Vec::new() };
    let (now, quotas) = (context.now, context.quotas);
    let (region, mint) = context.world.region(context.region, now);
    (operation.run)(&mut Call { region, mint, params: params.root(), now, quotas, profiles })
}

/// Runs an operation of a regional service for somebody in the cloud itself: a controller in a cluster.
pub(crate) fn run_inside(
    operation: &'static Operation,
    params: &Params,
    place: &mut Place<'_>,
    (quotas, now): (&Quotas, Timestamp),
) -> Answer {
    let Place { region, mint, .. } = place;
    (operation.run)(&mut Call { region, mint, params: params.root(), now, quotas, profiles: Vec::new() })
}

/// A refusal of what does not have the shape of the parameter.
pub(crate) fn validation(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationError", message)
}

/// The sentence of the validation that stands before all of these services.
pub(crate) fn constraint(value: &str, parameter: &str, why: &str) -> ApiError {
    validation(format!(
        "1 validation error detected: Value '{value}' at '{}' failed to satisfy constraint: Member must {why}",
        super::protocol::error::lower_first(parameter)
    ))
}

/// The text at a name, or the refusal of its absence.
pub(crate) fn required<'a>(params: &'a Node, parameter: &str) -> Result<&'a str, ApiError> {
    params.text(parameter).ok_or_else(|| {
        validation(format!(
            "1 validation error detected: Value null at '{}' failed to satisfy constraint: Member must not be null",
            super::protocol::error::lower_first(parameter)
        ))
    })
}

/// The tags at a name (`Tags.member.1.Key`), checked as all services check them.
pub(crate) fn tags(params: &Node, at: &str) -> Result<Tags, ApiError> {
    let mut tags = Tags::new();
    for (number, tag) in params.list(&format!("{at}.member")).into_iter().enumerate() {
        let place = format!("tags.{}.member", number + 1);
        let key = required(tag, "Key")?;
        let value = tag.at("Value").and_then(Node::value).unwrap_or_default();
        if key.chars().count() > MAX_TAG_KEY {
            return Err(constraint(key, &format!("{place}.key"), "have length less than or equal to 128"));
        }
        if value.chars().count() > MAX_TAG_VALUE {
            return Err(constraint(value, &format!("{place}.value"), "have length less than or equal to 256"));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(validation("aws: prefixed tag key names are not allowed for external use."));
        }
        if tags.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(duplicate_tag());
        }
    }
    Ok(tags)
}

const MAX_TAG_KEY: usize = 128;
const MAX_TAG_VALUE: usize = 256;
/// How many tags an object can have.
pub(crate) const MAX_TAGS: usize = 50;

fn duplicate_tag() -> ApiError {
    ApiError::new("InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
}

/// Writes tags as these services do.
pub(crate) fn write_tags(xml: &mut Xml, tags: &Tags) {
    xml.members("Tags", tags, |xml, (key, value)| {
        xml.text("Key", key).text("Value", value);
    });
}

/// A page of a list: where it begins and how long it is.
pub(crate) struct Page {
    after: Option<String>,
    size: usize,
}

impl Page {
    /// Reads where a page begins, and its size under `size_name`, which goes from 1 to `most`.
    pub(crate) fn parse(params: &Node, size_name: &str, (usual, most): (usize, usize)) -> Result<Self, ApiError> {
        let size = match params.text(size_name) {
            None => usual,
            Some(text) => match text.parse() {
                Ok(0) | Err(_) => {
                    return Err(constraint(text, size_name, "have value greater than or equal to 1"));
                }
                Ok(size) if size > most => {
                    let why = format!("have value less than or equal to {most}");
                    return Err(constraint(text, size_name, &why));
                }
                Ok(size) => size,
            },
        };
        let after = params
            .text("Marker")
            .map(|marker| {
                let bytes = data_encoding::BASE64URL_NOPAD.decode(marker.as_bytes()).ok();
                bytes
                    .and_then(|bytes| String::from_utf8(bytes).ok())
                    .ok_or_else(|| validation(format!("Invalid Marker: {marker}")))
            })
            .transpose()?;
        Ok(Self { after, size })
    }

    /// Cuts the page out of what is sorted by `key`: the page, and the marker of the next one.
    pub(crate) fn cut<T>(&self, rows: impl Iterator<Item = T>, key: impl Fn(&T) -> &str) -> (Vec<T>, Option<String>) {
        let mut rows = rows.filter(|row| self.after.as_deref().is_none_or(|after| key(row) > after)).peekable();
        let mut page = Vec::new();
        while page.len() < self.size
            && let Some(row) = rows.next()
        {
            page.push(row);
        }
        let next = page
            .last()
            .filter(|_| rows.peek().is_some())
            .map(|row| data_encoding::BASE64URL_NOPAD.encode(key(row).as_bytes()));
        (page, next)
    }

    /// Writes whether there is a next page, and its marker, as IAM does.
    pub(crate) fn write(xml: &mut Xml, next: Option<String>) {
        xml.text("IsTruncated", next.is_some()).optional("Marker", next);
    }
}
