//! The walk through a kind's life that the contract promises, on any cloud.

use std::collections::BTreeMap;
use std::time::Duration;

use meshplan::compile::{Declaration, compile};
use meshplan::kinds::registry;
use meshplan::model::diff::{ThreeWay, diff};
use meshplan::model::{Address, Clock, Document, Reference, Target, Value};
use meshplan::resource::{
    Cloud, Deletion, DynKind, ErrorClass, LiveDocument, Ownership, Possession, ProviderError, RemoteId, Status,
    UpdateId, Updated,
};
use meshplan::topology::parse;

/// Looks and requests after which something that is not as it should be never will be.
const PATIENCE: usize = 600;

pub(crate) struct Walk<'a> {
    cloud: &'a Cloud,
    clock: &'a dyn Clock,
    declarations: Vec<Declaration>,
    /// Specs that a declared one is changed to, and back, before it goes.
    changes: Vec<(Address, Value)>,
    /// Kinds whose tags the cloud takes and forgets.
    forgets_tags: &'static [&'static str],
    replays_tokens: bool,
}

/// The kinds whose create takes a client token.
const TOKEN_KINDS: [&str; 3] = ["aws.egress_only_internet_gateway", "aws.nat_gateway", "aws.route_table"];

/// What the walk made.
pub(crate) struct Made {
    declaration: Declaration,
    kind: &'static dyn DynKind,
    id: RemoteId,
    desired: Value,
    pub(crate) outputs: Value,
}

impl<'a> Walk<'a> {
    /// A walk through a dual-stack network, with further lines for its table, that is peered with one of its own region
    /// and one of another.
    pub(crate) fn new(cloud: &'a Cloud, clock: &'a dyn Clock, further: &str) -> Self {
        let text = format!(
            "schema = 1\n[mesh]\nid = \"walk\"\nregion = \"us-west-2\"\n\
             [networks.n]\ncidr = \"10.7.0.0/16\"\nazs = 2\ndual_stack = true\n{further}\
             [networks.near]\ncidr = \"10.8.0.0/16\"\nazs = 2\ndual_stack = true\n\
             [networks.far]\ncidr = \"10.9.0.0/16\"\nazs = 2\ndual_stack = true\nregion = \"eu-west-1\"\n\
             [peering.near]\nnetworks = [\"n\", \"near\"]\n[peering.far]\nnetworks = [\"n\", \"far\"]\n"
        );
        let parsed = parse(&text);
        let topology = parsed.topology.unwrap_or_else(|| panic!("{:#?}", parsed.diagnostics));
        Self::of(cloud, clock, compile(&topology).declarations)
    }

    /// A walk through these.
    pub(crate) fn of(cloud: &'a Cloud, clock: &'a dyn Clock, declarations: Vec<Declaration>) -> Self {
        Self { cloud, clock, declarations, changes: Vec::new(), forgets_tags: &[], replays_tokens: true }
    }

    /// With specs that some of it is changed to, and back.
    pub(crate) fn changing(self, changes: Vec<(Address, Value)>) -> Self {
        Self { changes, ..self }
    }

    /// For a cloud that takes changes of these kinds' tags and forgets them.
    pub(crate) fn forgetting_tags_of(self, kinds: &'static [&'static str]) -> Self {
        Self { forgets_tags: kinds, ..self }
    }

    /// For a cloud that ignores client tokens.
    pub(crate) fn without_tokens(self) -> Self {
        Self { replays_tokens: false, ..self }
    }

    /// The whole walk through a network.
    pub(crate) async fn run(&self) {
        let (made, order) = self.build().await;
        let kinds: std::collections::BTreeSet<&str> = order.iter().map(Address::kind).collect();
        let owned = registry()
            .kinds()
            .filter(|kind| kind.possession() == Possession::Owned)
            .filter(|kind| kind.name().starts_with("aws.") && kind.name() != "aws.security_group_rule")
            .count();
        assert_eq!(kinds.len(), owned, "the walk leaves a kind out: {kinds:?}");
        self.look_as_a_stranger(&made).await;
        self.unbuild(&made, &order).await;
    }

    /// The walk through whatever is declared.
    pub(crate) async fn there_and_back(&self) {
        self.there_and_back_by(async |_| {}).await;
    }

    /// The same, with a look around while everything is there.
    pub(crate) async fn there_and_back_by(&self, look: impl AsyncFn(&BTreeMap<Address, Made>)) {
        let (made, order) = self.build().await;
        look(&made).await;
        self.unbuild(&made, &order).await;
    }

    /// Makes everything in order, and changes it.
    async fn build(&self) -> (BTreeMap<Address, Made>, Vec<Address>) {
        let mut made: BTreeMap<Address, Made> = BTreeMap::new();
        let mut order = Vec::new();
        while order.len() < self.declarations.len() {
            let before = order.len();
            for declaration in &self.declarations {
                let ready = declaration.requirements().iter().all(|needed| made.contains_key(needed));
                if ready && !made.contains_key(&declaration.address) {
                    let one = self.make(declaration, &made).await;
                    order.push(declaration.address.clone());
                    made.insert(declaration.address.clone(), one);
                }
            }
            assert!(order.len() > before, "a cycle, or a requirement that nobody declares");
        }
        for address in &order {
            self.retag(&made[address]).await;
        }
        for (address, changed) in &self.changes {
            let made = &made[address];
            let target = &made.declaration.target;
            self.settle_from(made.kind, target, &made.id, changed, Some(&made.desired)).await;
            self.settle_from(made.kind, target, &made.id, &made.desired, Some(changed)).await;
        }
        (made, order)
    }

    async fn unbuild(&self, made: &BTreeMap<Address, Made>, order: &[Address]) {
        for address in order.iter().rev() {
            self.unmake(&made[address]).await;
        }
    }

    async fn make(&self, declaration: &Declaration, made: &BTreeMap<Address, Made>) -> Made {
        let kind = registry().kind(declaration.address.kind()).unwrap();
        let target = &declaration.target;
        let mut output = |reference: &Reference| made[&reference.address].outputs.get(&reference.output).cloned();
        let desired = declaration.spec.value().fill(&mut output).unwrap();
        assert!(!desired.has_unknown(), "{}: {desired}", declaration.address);
        let spec = Document::of(&desired).unwrap();
        let owner = owner(&declaration.address);

        let found = self.patiently(|| kind.find(self.cloud, target, &spec, &owner)).await;
        assert_eq!(found, None, "{}: nothing is there before it is made", declaration.address);
        let created = self.patiently(|| kind.create(self.cloud, target, &spec, &owner)).await;
        if self.replays_tokens && TOKEN_KINDS.contains(&kind.name()) {
            let again = self.patiently(|| kind.create(self.cloud, target, &spec, &owner)).await;
            assert_eq!(again.id, created.id, "{}: one token makes one object", declaration.address);
        }
        if let Some(known) = kind.known_id(&desired) {
            assert_eq!(created.id, known, "{}", declaration.address);
        }
        let live = self.settle(kind, target, &created.id, &desired).await;
        let found = self.patiently(|| kind.find(self.cloud, target, &spec, &owner)).await;
        assert_eq!(found.as_ref(), Some(&created.id), "{}: an interrupted create is found", declaration.address);
        let outputs = live.outputs.value();
        for rule in kind.outputs() {
            let output = outputs.get(rule.name);
            assert!(!matches!(output, None | Some(Value::Null)), "{}: no {}", declaration.address, rule.name);
        }
        Made { declaration: declaration.clone(), kind, id: created.id, desired, outputs }
    }

    /// Adds a tag, changes it and takes it away again.
    async fn retag(&self, made: &Made) {
        let Value::Object(fields) = &made.desired else { panic!("a spec is an object") };
        if !fields.contains_key("tags") || self.forgets_tags.contains(&made.kind.name()) {
            return;
        }
        for value in [Some("one"), Some("two"), None] {
            let mut fields = fields.clone();
            if let (Some(Value::Object(tags)), Some(value)) = (fields.get_mut("tags"), value) {
                tags.insert("walk".to_owned(), value.into());
            }
            let desired = Value::Object(fields);
            let prior: Value = serde_json::from_str(r#"{"tags": {"walk": ""}}"#).unwrap();
            self.settle_from(made.kind, &made.declaration.target, &made.id, &desired, Some(&prior)).await;
        }
    }

    /// Brings the object to what is desired, one request at a time, and answers how it is then.
    async fn settle(&self, kind: &dyn DynKind, target: &Target, id: &RemoteId, desired: &Value) -> LiveDocument {
        self.settle_from(kind, target, id, desired, None).await
    }

    async fn settle_from(
        &self,
        kind: &dyn DynKind,
        target: &Target,
        id: &RemoteId,
        desired: &Value,
        prior: Option<&Value>,
    ) -> LiveDocument {
        let to = Document::of(desired).unwrap();
        let mut seen = "never read".to_owned();
        for _ in 0..PATIENCE {
            let Some(live) = self.read(kind, target, id).await else {
                self.clock.sleep(kind.wait().interval).await;
                continue;
            };
            match &live.status {
                Status::Pending(why) | Status::Degraded(why) => {
                    seen.clone_from(why);
                    self.clock.sleep(kind.wait().interval).await;
                }
                Status::Ready => {
                    let observed = live.spec.value();
                    let changes = diff(ThreeWay { desired, prior, observed: &observed }, kind.fields(), "walk");
                    if changes.is_empty() {
                        return live;
                    }
                    let replaces = |change: &&meshplan::model::diff::FieldChange| {
                        change.impact == meshplan::model::diff::Impact::Replace
                    };
                    assert!(!changes.iter().any(|change| replaces(&change)), "{id}: {changes:#?}");
                    seen = format!("{changes:#?}");
                    let answer = kind.update(self.cloud, target, id, &live.spec, &to).await;
                    match answer {
                        Ok(Updated::Underway(update)) => self.follow(kind, target, id, &update).await,
                        Ok(Updated::Done) => {}
                        Err(error) => self.bear(Err(error), kind.wait().interval).await,
                    }
                }
                Status::Failed(why) => panic!("{id} failed: {why}"),
                Status::Deleting => panic!("{id} is being deleted"),
            }
        }
        panic!("{id} ({}) never becomes {desired}: {seen}", kind.name());
    }

    /// Waits until an update is done that takes time.
    async fn follow(&self, kind: &dyn DynKind, target: &Target, id: &RemoteId, update: &UpdateId) {
        for _ in 0..PATIENCE {
            match self.patiently(|| kind.follow(self.cloud, target, id, update)).await {
                Status::Ready => return,
                Status::Pending(_) | Status::Degraded(_) => self.clock.sleep(kind.wait().interval).await,
                Status::Failed(why) => panic!("an update of {id} failed: {why}"),
                Status::Deleting => panic!("{id} is being deleted"),
            }
        }
        panic!("an update of {id} never ends");
    }

    async fn read(&self, kind: &dyn DynKind, target: &Target, id: &RemoteId) -> Option<LiveDocument> {
        // Between ids that do not exist: the answers keep their places.
        let stranger = RemoteId::new(match kind.name() {
            "aws.route" => "rtb-0123456789abcdef0/10.0.0.0/8".to_owned(),
            "iam.oidc_provider" => format!("{id}0"),
            _ => format!("{}-0123456789abcdef0", id.as_str().split('-').next().unwrap()),
        });
        let ids = [stranger.clone(), id.clone(), stranger];
        let mut found = self.patiently(|| kind.read_many(self.cloud, target, &ids)).await;
        assert_eq!(found.len(), 3);
        assert!(found[0].is_none() && found[2].is_none(), "{}: a stranger is found", kind.name());
        found.swap_remove(1)
    }

    /// What was built holds everything that is asked of an existing network.
    async fn look_as_a_stranger(&self, made: &BTreeMap<Address, Made>) {
        let ids = |tier: &str| -> Vec<&str> {
            let part = |made: &&Made| made.declaration.address.as_str().contains(&format!("aws.subnet/n/{tier}"));
            made.values().filter(part).map(|made| made.id.as_str()).collect()
        };
        let vpc = &made[&Address::new("aws.vpc", &["n"])];
        let spec = serde_json::json!({
            "vpc_id": vpc.id.as_str(), "cidr": "10.7.0.0/16", "private_subnets": ids("private"),
            "public_subnets": ids("public"), "dual_stack": true, "ipv4_egress": true, "role_tags": true
        });
        let spec: Value = serde_json::from_value(spec).unwrap();
        let kind = registry().kind("aws.existing_network").unwrap();
        let look = async |spec: &Value| {
            let ids = [kind.known_id(spec).unwrap()];
            self.patiently(|| kind.read_many(self.cloud, &vpc.declaration.target, &ids)).await.pop().unwrap()
        };
        let live = look(&spec).await.unwrap();
        assert_eq!(live.status, Status::Ready);
        assert_eq!(live.spec.value(), spec);
        assert_eq!(live.outputs.value().get("ipv6_cidr"), vpc.outputs.get("ipv6_cidr"));

        let Value::Object(mut fields) = spec else { panic!("a spec is an object") };
        fields.insert("public_subnets".to_owned(), fields["private_subnets"].clone());
        let Status::Failed(why) = look(&Value::Object(fields.clone())).await.unwrap().status else {
            panic!("private subnets pass for public ones")
        };
        assert!(why.contains("is public and has no route ::/0 to an internet gateway"), "{why}");
        fields.insert("vpc_id".to_owned(), "vpc-0123456789abcdef0".into());
        assert_eq!(look(&Value::Object(fields)).await, None);
    }

    /// Changes what was made, from one spec to another.
    pub(crate) async fn bring(&self, made: &Made, from: &Value, to: &Value) {
        self.settle_from(made.kind, &made.declaration.target, &made.id, to, Some(from)).await;
    }

    /// Deletes what was made.
    pub(crate) async fn unmake(&self, made: &Made) {
        self.remove(made.kind, &made.declaration.target, &made.id).await;
    }

    /// Deletes an object, and waits until it is gone.
    pub(crate) async fn remove(&self, kind: &dyn DynKind, target: &Target, id: &RemoteId) {
        let mut refused = String::new();
        for _ in 0..PATIENCE {
            match kind.delete(self.cloud, target, id).await {
                Ok(Deletion::Accepted) => break,
                Ok(Deletion::Again) => {}
                Ok(Deletion::Later(why)) => {
                    refused = why;
                    self.clock.sleep(kind.wait().interval).await;
                }
                Err(error) => {
                    refused = error.to_string();
                    self.bear(Err(error), kind.wait().interval).await;
                }
            }
        }
        for _ in 0..PATIENCE {
            match self.read(kind, target, id).await {
                None => {
                    let again = self.patiently(|| kind.delete(self.cloud, target, id)).await;
                    assert_eq!(again, Deletion::Accepted, "{id}: deleting what is gone is fine");
                    return;
                }
                Some(_) => self.clock.sleep(kind.wait().interval).await,
            }
        }
        panic!("{id} ({}) never goes: {refused}", kind.name());
    }

    /// Repeats a request while its error says that it may be.
    pub(crate) async fn patiently<'f, T: 'f>(
        &self,
        mut request: impl FnMut() -> futures_util::future::LocalBoxFuture<'f, Result<T, ProviderError>>,
    ) -> T {
        let mut refused = String::new();
        for _ in 0..PATIENCE {
            match request().await {
                Ok(answer) => return answer,
                Err(error) => {
                    refused = error.to_string();
                    self.bear(Err(error), Duration::from_secs(1)).await;
                }
            }
        }
        panic!("a request never succeeds: {refused}");
    }

    /// Waits after an error that may pass, and fails on any other.
    async fn bear(&self, answer: Result<(), ProviderError>, pause: Duration) {
        let Err(error) = answer else { return };
        match error.class {
            ErrorClass::Throttled
            | ErrorClass::Transient
            | ErrorClass::NotYet
            | ErrorClass::InUse
            | ErrorClass::Busy => {
                self.clock.sleep(error.retry_after.unwrap_or(pause)).await;
            }
            ErrorClass::Ambiguous
            | ErrorClass::Denied
            | ErrorClass::Invalid
            | ErrorClass::Quota
            | ErrorClass::Conflict
            | ErrorClass::Bug => panic!("{error} ({})", error.class.name()),
        }
    }
}

pub(crate) fn owner(address: &Address) -> Ownership {
    // As long as the engine's own, and different for each resource.
    let token = meshplan::model::Digest::of(address.as_str()).to_string();
    Ownership { mesh: "walk".to_owned(), address: address.clone(), token }
}
