//! meshplan plans, applies and destroys an Istio service mesh that spans several networks and several EKS clusters.
//!
//! This page is the architecture document. The README says what the program is for.
//!
//! # Bird's-eye view
//!
//! ```text
//! topology (TOML) --parse--> Topology --compile--> declarations --plan(state, observed)--> Plan
//! Plan --approve--> apply (one loop, the sole writer of state) --> events + new state
//! ```
//!
//! Left of the plan everything is pure and synchronous. Right of it one event loop owns everything that changes.
//! Kinds of resources are small typed modules behind one erased interface; the command line is a thin skin.
//!
//! # Code map, in reading order
//!
//! | module | what it holds | start at |
//! | --- | --- | --- |
//! | [`model`] | the vocabulary: addresses, documents with holes, differences, findings, events | [`model::Value`] |
//! | [`topology`] | what people write: schema, spans, rules | [`topology::parse`] |
//! | [`compile`] | a topology becomes declarations, one per resource | [`compile::compile`] |
//! | [`resource`] | the contract with kinds | [`resource::ResourceKind`] |
//! | [`kinds`] | the kinds themselves, one file each | [`kinds::KINDS`] |
//! | [`state`] | what we own and what we promised; the files that keep it | [`state::State`] |
//! | [`refresh`] | reads what is there, in batches | [`refresh::refresh`] |
//! | [`plan`] | the decision table, the step graph, three renderings | [`plan::plan`] |
//! | [`preflight`] | asks whether the cloud offers what a plan makes, and has room for it | [`preflight::check`] |
//! | [`apply`] | the scheduler and the loop | [`apply::apply`] |
//! | [`verify`] | whether the running mesh works, and why not | [`verify::check()`] |
//! | [`sandbox`] | the simulated cloud, its clock and its faults | [`sandbox::Sandbox`] |
//! | [`vault`] | encrypts the keys that we make, and opens them | [`vault::Vault`] |
//! | [`ui`] | streams, colour, progress, findings with source lines | [`ui`] |
//! | [`cli`] | argument types, one file per command, exit codes | [`cli`] |
//!
//! # Who may import whom
//!
//! | module | may import | must never |
//! | --- | --- | --- |
//! | model | std, serde, and the small value crates ipnet, jiff, petgraph, sha2, strsim | anything else of ours, tokio |
//! | topology | model | `std::fs`, anything else of ours |
//! | compile | model, topology, the kinds' spec types | state, plan, apply, verbs and clients |
//! | state | model, `resource::RemoteId` | `std::fs` outside `state::store`, tokio |
//! | resource | model | topology, plan, apply, ui |
//! | plan | model, compile's types, the state model, `resource::KindRules` | `DynKind`, kinds, clocks, files, env |
//! | refresh, apply | plan, state, resource, model; refresh also `compile::Declaration` | topology, concrete kinds, ui |
//! | preflight | plan, resource, model; also `compile::Declaration` | topology, kinds, ui |
//! | kinds | resource, model | topology, plan, apply, state, ui, each other |
//! | verify | model, resource, `kinds::kubernetes::Kube` | state, plan, apply, topology |
//! | vault | model, resource | everything else of ours, the environment |
//! | sandbox | model | plan, apply, kinds: it is a cloud, not part of the engine |
//! | cli | everything | being imported |
//!
//! `tests/tidy.rs` reads the `use` lines and enforces the table.
//!
//! # Architecture invariants
//!
//! 1. **All choices are made in the plan.** [`apply::apply`] never sees a topology. It fills holes with outputs, and
//!    changes no value that was shown.
//! 2. **The planner is pure, by type.** It gets [`resource::KindRules`], which have no futures, and no clock.
//! 3. **Recovery is the normal path.** There is no resume: after a crash the next run loads state and journal, looks,
//!    plans and applies.
//! 4. **The intent is durable before its call, the id before its wait.** The loop appends a step's entries before it
//!    makes the step's next request, so this is structure and not discipline.
//! 5. **Kinds never sleep, retry or log.** Each verb makes one request. Reads answer a status, so waiting for ready and
//!    waiting for gone are reads, and many waits share one request.
//! 6. **An error's class is decided where it is born** ([`resource::ErrorClass`]), and nobody looks inside an error.
//! 7. **Findings name an address or a path**; only `ui::diagnostics` knows lines and columns.
//! 8. **No secret is written in the clear.** Sensitive fields are stored as salted digests, ephemeral outputs not at all,
//!    sealed ones encrypted by the kind that makes them and opened for the one request that needs them.
//! 9. **The same inputs give the same bytes.** Maps that iterate in arbitrary order, clocks and the environment are
//!    banned by `.clippy.toml`, each with the reason.
//! 10. **What a cluster forgets is swept by ordinary steps.** Load balancers, interfaces, security groups and log groups
//!     that nobody declared hold a network when a cluster goes. The kinds of `kinds::teardown` make nothing, stand in the
//!     graph where the sweeping has to happen, and do it when they are deleted.
//!
//! # What a crash leaves, and what the next run does
//!
//! | the crash came | the journal holds | the next run |
//! | --- | --- | --- |
//! | before the intent | nothing | plans a create |
//! | after the intent, before the effect | the intent and its token | looks by the token, finds nothing, creates with the same token |
//! | after the effect, before its answer | the intent and its token | looks by the token, adopts, waits |
//! | during the wait | the id | waits; never a second create |
//! | after ready, before the save | the outputs | nothing |
//! | in an update or a delete | the intent | looks and compares again |
//! | between the two halves of a create-first replacement | the successor's id and the predecessor's | finishes the one, deletes the other |
//!
//! # Files read and written
//!
//! | file | who | what |
//! | --- | --- | --- |
//! | `STATE/MESH.json` | [`state::Store`] | the state; temp file, fsync, rename, fsync of the folder; 0600 |
//! | `STATE/MESH.journal` | [`state::Store`] | entries since the last save; appended and synced in groups |
//! | `STATE/MESH.lock` | [`state::Store`] | `flock`, and who holds it |
//! | `STATE/MESH.history/` | [`state::Store`] | the last ten states |
//! | `STATE/MESH.plan.json` | [`state::store`] | the pending plan |
//! | `~/.config/meshplan/identity.txt` | [`vault`] | the operator's identity, made when the first key is sealed; 0600 |
//! | `STATE/sandbox/` | [`sandbox`] | the simulated cloud |
//! | the topology, and the files of manifests that it names | [`cli`] | read only |
//! | `kubeconfig --out FILE` | [`cli`] | merged into; temp file, fsync, rename; 0600 |
//! | `STATE/helm/` | [`kinds`] | while helm runs: its values and kubeconfigs, the charts that were fetched, who works on which release; 0600 |
//! | the kubeconfig of an existing cluster | [`kinds`] | read only |
//! | `~/.aws/*`, `AWS_*` | the AWS SDK | credentials, read only |
//!
//! # How to add a kind
//!
//! Write one file in [`kinds`]: the spec and output types, [`resource::KindRules`], [`resource::ResourceKind`], with
//! an example spec. Add one line to [`kinds::KINDS`]. The conformance tests loop over that list and check the new kind
//! against the sandbox and against moto; `compile` then declares it.
//!
//! # How to change the state's format
//!
//! A new optional field needs nothing: unknown fields survive a round trip through an older version. Anything else
//! raises `state::FORMAT` and adds an upgrader to `state::upgrade`; a kind's own shape is versioned apart, by
//! [`resource::KindRules::schema_version`] and [`resource::KindRules::upgrade`]. Teach the readers first, and let
//! the writers follow a release later.

pub mod apply;
pub mod cli;
pub mod compile;
pub mod kinds;
pub mod model;
pub mod plan;
pub mod preflight;
pub mod refresh;
pub mod resource;
pub mod sandbox;
pub mod state;
pub mod topology;
pub mod ui;
pub mod vault;
pub mod verify;
