//! What all `Describe` calls share: ids, filters with wildcards, and pages.
//!
//! Entry point: [`Listing::select`]. Ids and filters on linked ids use the tables' indexes; only the rest is compared
//! object by object.

use std::collections::BTreeMap;

use data_encoding::BASE64URL_NOPAD;

use super::refer::{Reference, find};
use super::{Call, tagging};
use crate::sandbox::protocol::{ApiError, Node, Xml};
use crate::sandbox::wildcard::matches;
use crate::sandbox::world::table::{Row, Table};

/// How one `Describe` call lists its objects.
pub(super) struct Listing {
    /// The parameter with ids.
    pub(super) ids: &'static str,
    /// What the ids refer to.
    pub(super) reference: &'static Reference,
    /// Filters that name an id which the table is indexed by.
    pub(super) links: &'static [&'static str],
    /// All filters but those on tags.
    pub(super) filters: &'static [&'static str],
    /// The least and the greatest `MaxResults`.
    pub(super) page: (i64, i64),
    /// Whether an id that names nothing is refused, or only finds nothing.
    pub(super) refuses_unknown: bool,
}

/// One page of objects.
pub(super) struct Selected<'a, T> {
    /// The objects.
    pub(super) rows: Vec<&'a T>,
    /// Where the next page begins.
    pub(super) next: Option<String>,
}

impl Listing {
    /// The objects that a call asks for. `values` gives what an object has under the name of a filter.
    pub(super) fn select<'a, T: Row>(
        &self,
        call: &Call<'_>,
        table: &'a Table<T>,
        values: impl Fn(&T, &str) -> Vec<String>,
    ) -> Result<Selected<'a, T>, ApiError> {
        let filters = Filters::parse(call.params, self.filters)?;
        let ids = call.params.texts(self.ids);
        let page = Page::parse(call.params, self.page)?;
        if !ids.is_empty() && (page.max.is_some() || page.after.is_some()) {
            return Err(ApiError::combination(format!(
                "The parameter {}s cannot be used with the parameter maxResults",
                crate::sandbox::protocol::error::lower_first(self.ids)
            )));
        }
        let mut rows: BTreeMap<&str, &T> = BTreeMap::new();
        if ids.is_empty() {
            match self.links.iter().find_map(|link| filters.exact(link)) {
                Some(keys) => {
                    for key in keys {
                        rows.extend(
                            table
                                .get(key)
                                .into_iter()
                                .chain(table.linked(key))
                                .map(|row| (row.head().id.as_str(), row)),
                        );
                    }
                }
                None => rows.extend(table.iter().map(|row| (row.head().id.as_str(), row))),
            }
        } else {
            // Malformed ids are refused before any is looked up.
            ids.iter().try_for_each(|id| self.reference.check(id))?;
            for id in ids {
                match find(table, self.reference, id, call.now) {
                    Ok(row) => drop(rows.insert(&row.head().id, row)),
                    Err(error) if self.refuses_unknown => return Err(error),
                    Err(_) => {}
                }
            }
        }
        let rows = rows.into_values().filter(|row| {
            row.head().visible_at <= call.now && filters.accept(|name| values(row, name), &row.head().tags)
        });
        Ok(page.cut(rows.collect(), |row| &row.head().id))
    }
}

/// Writes where the next page begins.
pub(super) fn write_next(xml: &mut Xml, next: Option<String>) {
    xml.optional("nextToken", next);
}

/// The filters of a call: all must hold, each by any of its values.
pub(super) struct Filters {
    all: Vec<(String, Vec<String>)>,
}

impl Filters {
    /// Reads the filters; a name that the call does not know is refused.
    pub(super) fn parse(params: &Node, known: &[&str]) -> Result<Self, ApiError> {
        let mut all = Vec::new();
        for filter in params.list("Filter") {
            let name = filter.required("Name").map_err(|_| ApiError::missing("Filter.Name"))?;
            let on_tags = name == "tag-key"
                || name == "tag-value"
                || name.strip_prefix("tag:").is_some_and(|key| !key.is_empty());
            if !known.contains(&name) && !on_tags {
                return Err(ApiError::value(format!("The filter '{name}' is invalid")));
            }
            let values: Vec<String> = filter.texts("Value").into_iter().map(str::to_owned).collect();
            if values.is_empty() {
                return Err(ApiError::value(format!("The filter '{name}' must have at least one value")));
            }
            if values.len() > 200 {
                return Err(ApiError::new(
                    "FilterLimitExceeded",
                    "The maximum number of filter values specified on a single call is 200",
                ));
            }
            all.push((name.to_owned(), values));
        }
        Ok(Self { all })
    }

    /// The values of a filter, if it is there and none has a wildcard.
    fn exact(&self, name: &str) -> Option<&[String]> {
        let (_, values) = self.all.iter().find(|(known, _)| known == name)?;
        values.iter().all(|value| !value.contains(['*', '?', '\\'])).then_some(values)
    }

    /// Whether an object passes.
    pub(super) fn accept(&self, values: impl Fn(&str) -> Vec<String>, tags: &tagging::Tags) -> bool {
        self.all.iter().all(|(name, patterns)| {
            let any = |text: &str| patterns.iter().any(|pattern| matches(pattern, text));
            match name.as_str() {
                "tag-key" => tags.keys().any(|key| any(key)),
                "tag-value" => tags.values().any(|value| any(value)),
                other => match other.strip_prefix("tag:") {
                    Some(key) => tags.get(key).is_some_and(|value| any(value)),
                    None => values(other).iter().any(|value| any(value)),
                },
            }
        })
    }
}

/// Which part of a list a call asks for.
pub(super) struct Page {
    max: Option<usize>,
    after: Option<String>,
}

impl Page {
    /// Reads `MaxResults` and `NextToken`.
    pub(super) fn parse(params: &Node, (low, high): (i64, i64)) -> Result<Self, ApiError> {
        let max = params.integer("MaxResults")?;
        if let Some(wrong) = max.filter(|max| !(low..=high).contains(max)) {
            let why = if wrong < low {
                format!("Expecting a value greater than {low}.")
            } else {
                format!("Expecting a value less than {high}.")
            };
            return Err(ApiError::value(format!("Value ( {wrong} ) for parameter maxResults is invalid. {why}")));
        }
        let after = params
            .text("NextToken")
            .map(|token| {
                let bytes = BASE64URL_NOPAD.decode(token.as_bytes()).ok();
                bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(|| {
                    ApiError::new("InvalidNextToken", format!("The pagination token {token} is not valid"))
                })
            })
            .transpose()?;
        Ok(Self { max: max.and_then(|max| usize::try_from(max).ok()), after })
    }

    /// Cuts the page out of a list that is sorted by `key`.
    pub(super) fn cut<'a, T>(&self, rows: Vec<&'a T>, key: impl Fn(&T) -> &str) -> Selected<'a, T> {
        let mut rows: Vec<&T> = match &self.after {
            Some(after) => rows.into_iter().filter(|row| key(row) > after.as_str()).collect(),
            None => rows,
        };
        let mut next = None;
        if let Some(max) = self.max.filter(|max| rows.len() > *max) {
            rows.truncate(max);
            next = rows.last().map(|row| BASE64URL_NOPAD.encode(key(row).as_bytes()));
        }
        Selected { rows, next }
    }
}
