//! What a change of a release would do to its objects: rendered for the cluster as it is, and compared with what the
//! release holds. Nothing is changed.
//!
//! Values that are known only after an apply are rendered as a text that says so. Hooks, and what a chart looks up in the
//! cluster while it renders, are not part of it.

use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::kinds::kubernetes::look;
use crate::model::value::Reference;
use crate::model::{Target, Value};
use crate::resource::{Cloud, ErrorClass, ProviderError, ReleaseOrder, RemoteId};

use super::link::Link;
use super::objects::{Key, ObjectChange, object_diff, parse};
use super::spec::{Spec, parts};
use super::values;

/// How many objects are looked for at once.
const WIDTH: usize = 8;

/// The version of Kubernetes that charts are rendered for while there is no cluster to ask.
const KUBERNETES: &str = "v1.35.0";

/// What a change does to a release's objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// The objects that differ.
    pub objects: Vec<ObjectChange>,
    /// Whether values were missing: what depends on them is shown as known after apply.
    pub is_partial: bool,
}

/// What a preview compares with.
#[derive(Debug, Clone, Copy)]
pub enum Before<'a> {
    /// There is no release yet.
    Nothing,
    /// The release that is in the cluster.
    Release,
    /// What this spec would be, for a plan that looks at no cluster.
    Applied(&'a Value),
}

/// What bringing a release to this spec would do to its objects. `kubernetes` is the version to render for while the
/// cluster cannot say.
///
/// # Errors
/// Helm cannot render the chart: it cannot be had, or the values do not fit it. With values missing the latter proves
/// nothing, and is an error of class [`ErrorClass::NotYet`].
pub async fn preview(
    cloud: &Cloud,
    target: &Target,
    before: Before<'_>,
    spec: &Value,
    kubernetes: Option<&str>,
) -> Result<Preview, ProviderError> {
    let is_partial = spec.has_unknown();
    let (spec, helm) = (without_holes(spec)?, cloud.helm()?);
    let link = match before {
        Before::Nothing | Before::Release => cloud.client::<Link>(target).ok(),
        Before::Applied(_) => None,
    };
    let version = match &link {
        Some(link) => Some(look::version(link.kube()).await?),
        None => None,
    };
    let version = version.as_deref().or(kubernetes).unwrap_or(KUBERNETES);
    let before = match (before, &link) {
        (Before::Release, Some(link)) => link.state(&spec.namespace, &spec.name).await?.map(|state| state.manifest),
        (Before::Applied(applied), _) => Some(helm.render(&order(&without_holes(applied)?, true), version).await?),
        (Before::Nothing, _) | (Before::Release, None) => None,
    };
    let after = helm.render(&order(&spec, before.is_some()), version).await.map_err(|error| {
        let proves_nothing = is_partial && error.class == ErrorClass::Invalid;
        if proves_nothing { error.with_class(ErrorClass::NotYet) } else { error }
    })?;
    Ok(Preview { objects: object_diff(&before.unwrap_or_default(), &after), is_partial })
}

fn order(spec: &Spec, upgrades: bool) -> ReleaseOrder {
    ReleaseOrder {
        name: spec.name.clone(),
        namespace: spec.namespace.clone(),
        chart: spec.chart.clone(),
        repository: spec.repository.clone(),
        version: spec.version.clone(),
        values: serde_json::to_value(values::canonical(&spec.values)).unwrap_or_default(),
        description: String::new(),
        forces_conflicts: false,
        upgrades,
    }
}

/// A spec whose holes are texts that say what they are.
fn without_holes(spec: &Value) -> Result<Spec, ProviderError> {
    let known = |reference: &Reference| Value::String(format!("(known after apply: {reference})"));
    let filled = fill(spec, &known);
    let json = serde_json::to_value(&filled).map_err(|error| ProviderError::bug("helm:Render", error.to_string()))?;
    serde_json::from_value(json).map_err(|error| ProviderError::bug("helm:Render", error.to_string()))
}

fn fill(value: &Value, known: &dyn Fn(&Reference) -> Value) -> Value {
    match value {
        Value::Unknown(reference) => known(reference),
        Value::Array(items) => Value::Array(items.iter().map(|item| fill(item, known)).collect()),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(key, field)| (key.clone(), fill(field, known))).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// The objects that a release's manifest names and that are not in the cluster, for whoever asks for drift of live
/// objects: it takes a request for each object. `cloud` knows the cluster.
pub async fn drift_of_objects(cloud: &Cloud, target: &Target, id: &RemoteId) -> Result<Vec<Key>, ProviderError> {
    let link: Link = cloud.client(target)?;
    let (namespace, name) = parts(id)?;
    let Some(there) = link.state(namespace, name).await? else { return Ok(Vec::new()) };
    let look = |key: Key| {
        let link = &link;
        async move {
            let there = is_there(link, &key, namespace).await?;
            Ok::<_, ProviderError>((!there).then_some(key))
        }
    };
    let keys = parse(&there.manifest, &|_| true).into_keys();
    let missing: Vec<Option<Key>> = stream::iter(keys).map(look).buffered(WIDTH).try_collect().await?;
    Ok(missing.into_iter().flatten().collect())
}

/// Whether an object of a manifest is in the cluster.
async fn is_there(link: &Link, key: &Key, namespace: &str) -> Result<bool, ProviderError> {
    let in_namespace = match &key.namespace {
        Some(namespace) => Some(namespace.as_str()),
        // A manifest need not say where its objects are; whether they are anywhere depends on their kind.
        None => match look::is_namespaced(link.kube(), &key.api_version, &key.kind).await? {
            Some(true) => Some(namespace),
            Some(false) => None,
            None => return Ok(false),
        },
    };
    Ok(look::object(link.kube(), &key.api_version, &key.kind, in_namespace, &key.name).await?.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_later_is_rendered_as_a_text_that_says_so() {
        let spec = serde_json::json!({
            "name": "a", "namespace": "b", "chart": "c", "repository": null, "version": "1.0.0", "tags": {},
            "status": "deployed",
            "values": { "vpcId": { "$ref": { "address": "aws.vpc/network1", "output": "vpc_id" } }, "n": 1 },
        });
        let spec: Value = serde_json::from_value(spec).unwrap();
        assert!(spec.has_unknown());
        let filled = without_holes(&spec).unwrap();
        assert_eq!(filled.values.get("vpcId"), Some(&"(known after apply: aws.vpc/network1.vpc_id)".into()));
    }
}
