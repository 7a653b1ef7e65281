//! EKS: clusters, managed node groups, add-ons, access, pod identities, and the updates of all of them.
//!
//! Entry points: [`API`], and [`settle()`] for what time does. As in EC2 an operation checks everything and only then
//! changes the world. What a cluster really leaves in EC2 (its security group, network interfaces) is made and taken
//! back by `traces`; why nodes do not join is found out by `join`. There is no Kubernetes behind a cluster here.

mod access;
mod addon;
mod addon_update;
mod auto;
mod catalogue;
mod checks;
mod cluster;
mod cluster_update;
mod join;
mod nodegroup;
mod nodegroup_update;
mod pod_identity;
mod refusal;
mod roles;
mod settle;
mod tagging;
mod traces;
mod update;
mod versions;
mod view;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use serde_json::Value;

pub(super) use self::auto::{auto_nodes, start_auto_node};
use self::refusal::invalid;
use self::settle::token_key;
pub(super) use self::settle::{settle, vanish};
pub(super) use self::view::{authority, issuer};
use super::api::{Api, Context, Effect, Known, Run};
use super::options::Throttle;
use super::protocol::rest::{Route, route};
use super::protocol::{ApiError, Json, Wire};
use super::world::rows::{Head, Tags, Token};
use super::world::{Place, Region, ids::Mint};
use crate::model::Digest;

/// The service.
pub(crate) const API: Api = Api {
    name: "eks",
    global: false,
    wire: Wire::RestJson { routes: ROUTES },
    // Not published; accounts were seen to get more than this.
    limits: Some(Throttle { reads: (60.0, 12.0), writes: (24.0, 6.0) }),
    find: |name| find(name).map(|operation| Known { name: operation.name, effect: operation.effect }),
    run: Run::Json(run),
};

/// What an operation answers.
type Answer = Result<Value, ApiError>;

/// An operation of the API.
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

static OPERATIONS: LazyLock<BTreeMap<&'static str, &'static Operation>> = LazyLock::new(|| {
    [
        access::OPERATIONS,
        addon::OPERATIONS,
        addon_update::OPERATIONS,
        catalogue::OPERATIONS,
        cluster::OPERATIONS,
        cluster_update::OPERATIONS,
        nodegroup::OPERATIONS,
        nodegroup_update::OPERATIONS,
        pod_identity::OPERATIONS,
        tagging::OPERATIONS,
        update::OPERATIONS,
        versions::OPERATIONS,
    ]
    .into_iter()
    .flatten()
    .map(|operation| (operation.name, operation))
    .collect()
});

const ROUTES: &[Route] = &[
    route("GET", "/access-policies", "ListAccessPolicies"),
    route("GET", "/addons/configuration-schemas", "DescribeAddonConfiguration"),
    route("GET", "/addons/supported-versions", "DescribeAddonVersions"),
    route("GET", "/cluster-versions", "DescribeClusterVersions"),
    route("GET", "/clusters", "ListClusters"),
    route("POST", "/clusters", "CreateCluster"),
    route("GET", "/clusters/{name}", "DescribeCluster"),
    route("DELETE", "/clusters/{name}", "DeleteCluster"),
    route("POST", "/clusters/{name}/update-config", "UpdateClusterConfig"),
    route("GET", "/clusters/{name}/updates", "ListUpdates"),
    route("POST", "/clusters/{name}/updates", "UpdateClusterVersion"),
    route("GET", "/clusters/{name}/updates/{updateId}", "DescribeUpdate"),
    route("GET", "/clusters/{clusterName}/access-entries", "ListAccessEntries"),
    route("POST", "/clusters/{clusterName}/access-entries", "CreateAccessEntry"),
    route("GET", "/clusters/{clusterName}/access-entries/{principalArn}", "DescribeAccessEntry"),
    route("POST", "/clusters/{clusterName}/access-entries/{principalArn}", "UpdateAccessEntry"),
    route("DELETE", "/clusters/{clusterName}/access-entries/{principalArn}", "DeleteAccessEntry"),
    route(
        "GET",
        "/clusters/{clusterName}/access-entries/{principalArn}/access-policies",
        "ListAssociatedAccessPolicies",
    ),
    route("POST", "/clusters/{clusterName}/access-entries/{principalArn}/access-policies", "AssociateAccessPolicy"),
    route(
        "DELETE",
        "/clusters/{clusterName}/access-entries/{principalArn}/access-policies/{policyArn}",
        "DisassociateAccessPolicy",
    ),
    route("GET", "/clusters/{clusterName}/addons", "ListAddons"),
    route("POST", "/clusters/{clusterName}/addons", "CreateAddon"),
    route("GET", "/clusters/{clusterName}/addons/{addonName}", "DescribeAddon"),
    route("DELETE", "/clusters/{clusterName}/addons/{addonName}", "DeleteAddon"),
    route("POST", "/clusters/{clusterName}/addons/{addonName}/update", "UpdateAddon"),
    route("GET", "/clusters/{clusterName}/node-groups", "ListNodegroups"),
    route("POST", "/clusters/{clusterName}/node-groups", "CreateNodegroup"),
    route("GET", "/clusters/{clusterName}/node-groups/{nodegroupName}", "DescribeNodegroup"),
    route("DELETE", "/clusters/{clusterName}/node-groups/{nodegroupName}", "DeleteNodegroup"),
    route("POST", "/clusters/{clusterName}/node-groups/{nodegroupName}/update-config", "UpdateNodegroupConfig"),
    route("POST", "/clusters/{clusterName}/node-groups/{nodegroupName}/update-version", "UpdateNodegroupVersion"),
    route("GET", "/clusters/{clusterName}/pod-identity-associations", "ListPodIdentityAssociations"),
    route("POST", "/clusters/{clusterName}/pod-identity-associations", "CreatePodIdentityAssociation"),
    route("GET", "/clusters/{clusterName}/pod-identity-associations/{associationId}", "DescribePodIdentityAssociation"),
    route("POST", "/clusters/{clusterName}/pod-identity-associations/{associationId}", "UpdatePodIdentityAssociation"),
    route(
        "DELETE",
        "/clusters/{clusterName}/pod-identity-associations/{associationId}",
        "DeletePodIdentityAssociation",
    ),
    route("GET", "/tags/{resourceArn}", "ListTagsForResource"),
    route("POST", "/tags/{resourceArn}", "TagResource"),
    route("DELETE", "/tags/{resourceArn}", "UntagResource"),
];

fn find(name: &str) -> Result<&'static Operation, ApiError> {
    OPERATIONS.get(name).copied().ok_or_else(|| {
        ApiError::new("UnknownOperationException", format!("The sandbox's EKS has no operation {name}"))
            .with_status(404)
    })
}

fn run(name: &'static str, input: Json<'_>, context: &mut Context<'_>) -> Answer {
    let operation = find(name)?;
    let now = context.now;
    let Place { region, global, mint } = context.place();
    (operation.run)(&mut Call { region, global, mint, input, now, operation: name })
}

/// One call to one region.
struct Call<'a> {
    region: &'a mut Region,
    /// What belongs to no region: the roles.
    global: &'a mut Region,
    mint: &'a mut Mint,
    input: Json<'a>,
    now: Timestamp,
    operation: &'static str,
}

impl Call<'_> {
    /// The ARN of an object: `path` is what follows the account.
    fn arn(&self, path: &str) -> String {
        view::arn(self.region, self.mint, path)
    }

    /// A head for a new object. EKS shows what it made at once.
    fn head(&self, id: String, tags: Tags) -> Head {
        Head { id, created_at: self.now, visible_at: self.now, tags, native: false }
    }

    /// When something that takes so many milliseconds is through. The key is the object's name: a name that is used
    /// again takes as long again, so that a run that was interrupted can be compared with one that was not.
    fn after(&self, key: &str, what: &str, (low, high): (u64, u64)) -> Timestamp {
        self.mint.after(self.now, &format!("{}/{key}", self.region.name), what, low, high)
    }

    /// The same for becoming ready, which a fault can prevent for ever.
    fn ready(&self, key: &str, what: &str, (low, high): (u64, u64)) -> Timestamp {
        self.mint.ready(self.now, &format!("{}/{key}", self.region.name), what, low, high)
    }

    /// A name that is not used again, in the form of a UUID.
    fn unique(&mut self) -> String {
        let hex = self.hex();
        let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
        format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
    }

    /// 32 hexadecimal digits that are not used again.
    fn hex(&mut self) -> String {
        self.mint.counter += 1;
        let count = self.mint.counter.to_string();
        format!("{:016x}{:016x}", self.mint.number(&["eks", &count, "high"]), self.mint.number(&["eks", &count, "low"]))
    }

    /// The id of what an earlier call with the same token made.
    ///
    /// # Errors
    /// When the token came with other parameters.
    fn replayed(&self) -> Result<Option<String>, ApiError> {
        let Some(token) = self.input.text("clientRequestToken") else { return Ok(None) };
        let Some(used) = self.region.tokens.get(&self.token_id(token)) else { return Ok(None) };
        if used.digest != self.digest() {
            return Err(invalid(format!(
                "The client request token {token} was already used by a request with different parameters"
            )));
        }
        Ok(used.resource_id.split_once(':').map(|(_, id)| id.to_owned()))
    }

    /// Binds this call's token to what it made: the kind of thing and its id.
    fn remember(&mut self, kind: &str, id: &str) {
        let Some(token) = self.input.text("clientRequestToken") else { return };
        let head = self.head(self.token_id(token), Tags::new());
        let digest = self.digest();
        self.region.tokens.insert(Token { head, digest, resource_id: token_key(kind, id) });
    }

    /// Forgets the tokens that made something which is gone.
    fn forget(&mut self, kind: &str, id: &str) {
        settle::forget(self.region, &token_key(kind, id));
    }

    fn token_id(&self, token: &str) -> String {
        format!("eks/{}/{token}", self.operation)
    }

    fn digest(&self) -> String {
        Digest::of(self.input.canonical(&["clientRequestToken"])).to_string()
    }

    /// One page of a sorted list, and where the next one begins.
    fn page(&self, all: impl IntoIterator<Item = String>) -> Result<(Vec<String>, Option<String>), ApiError> {
        let max = self.input.integer("maxResults")?.unwrap_or(100);
        if !(1..=100).contains(&max) {
            return Err(invalid(format!("maxResults must be between 1 and 100, {max} is not")));
        }
        let max = usize::try_from(max).unwrap_or(100);
        let after = match self.input.text("nextToken") {
            None => None,
            Some(token) => {
                let bytes = BASE64URL_NOPAD.decode(token.as_bytes()).ok();
                let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
                Some(text.ok_or_else(|| invalid(format!("The nextToken {token} is not valid")))?)
            }
        };
        let mut rest: Vec<String> =
            all.into_iter().filter(|name| after.as_ref().is_none_or(|after| name > after)).collect();
        rest.sort();
        let more = rest.len() > max;
        rest.truncate(max);
        let next = rest.last().filter(|_| more).map(|last| BASE64URL_NOPAD.encode(last.as_bytes()));
        Ok((rest, next))
    }
}
