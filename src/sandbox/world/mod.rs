//! The state of the simulated cloud: regions of tables of objects, and what is needed to make new ones.
//!
//! Entry points: [`World::region`] and [`store::Store`]. Pure data: nothing here waits, speaks a protocol or knows an
//! operation; time comes in as an argument.

pub(crate) mod fresh;
pub(crate) mod ids;
pub(crate) mod ranges;
pub(crate) mod rows;
pub(crate) mod settle;
pub(crate) mod store;
pub(crate) mod table;
pub(crate) mod watched;
pub(crate) mod zones;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use self::ids::Mint;
use self::rows::{
    AccessEntry, Addon, Address, Cluster, Departed, DhcpOptions, EgressOnlyGateway, Instance, InternetGateway,
    KubernetesObject, KubernetesStore, Listener, LoadBalancer, LogGroup, NatGateway, NetworkAcl, NetworkInterface,
    Nodegroup, OidcProvider, PodIdentity, Role, RouteTable, SecurityGroup, SecurityGroupRule, Subnet, Tags,
    TargetGroup, Token, Update, Vpc, VpcPeering,
};
use self::table::{Row, Table};
use self::watched::Watched;

/// A row as it is written: region, table, id, object.
pub(crate) type Written = (String, String, String, Value);

/// The pseudo-region of what belongs to no region: IAM.
pub(crate) const GLOBAL: &str = "aws-global";

/// Everything that persists.
#[derive(Debug)]
pub(crate) struct World {
    /// What makes ids and durations.
    pub(crate) mint: Mint,
    regions: BTreeMap<String, Region>,
    /// Beside the regions, so that a call to one of them can look at both.
    global: Region,
}

/// What a call to a regional service can see and change.
pub(crate) struct Place<'a> {
    /// Its region.
    pub(crate) region: &'a mut Region,
    /// What belongs to no region.
    pub(crate) global: &'a mut Region,
    /// What makes ids and durations.
    pub(crate) mint: &'a mut Mint,
}

impl World {
    /// An account in which nothing was ever done.
    pub(crate) fn new(mint: Mint) -> Self {
        Self { mint, regions: BTreeMap::new(), global: Region::named(GLOBAL) }
    }

    /// A region and what makes new objects in it; a region that is new to the account is furnished first.
    pub(crate) fn region(&mut self, name: &str, now: Timestamp) -> (&mut Region, &mut Mint) {
        if name == GLOBAL {
            return (&mut self.global, &mut self.mint);
        }
        let Place { region, mint, .. } = self.place(name, now);
        (region, mint)
    }

    /// A region, what belongs to none, and what makes new objects.
    pub(crate) fn place(&mut self, name: &str, now: Timestamp) -> Place<'_> {
        let region = self.regions.entry(name.to_owned()).or_insert_with(|| Region::named(name));
        if region.vpcs.len() == 0 && !region.furnished {
            fresh::furnish(region, &self.mint, now);
        }
        region.furnished = true;
        Place { region, global: &mut self.global, mint: &mut self.mint }
    }

    /// What belongs to no region, and what makes new objects there.
    pub(crate) fn global(&mut self) -> (&mut Region, &mut Mint) {
        (&mut self.global, &mut self.mint)
    }

    /// The names of the regions in which something was done, without `aws-global`.
    pub(crate) fn names(&self) -> Vec<String> {
        self.regions.keys().cloned().collect()
    }

    /// The regions in which something was done; `aws-global` comes last, if there is anything in it.
    pub(crate) fn regions(&self) -> impl Iterator<Item = &Region> {
        self.regions.values().chain(Some(&self.global).filter(|global| !global.is_empty()))
    }

    /// Whether something changed inside of a cluster that is not written yet.
    pub(crate) fn clusters_changed(&self) -> bool {
        self.regions.values().any(|region| region.kubernetes_objects.is_changed())
    }

    /// Takes out what must be written.
    pub(crate) fn drain(&mut self) -> Result<Vec<Written>, serde_json::Error> {
        let mut written = Vec::new();
        for region in self.regions.values_mut().chain([&mut self.global]) {
            written.extend(region.drain()?);
        }
        Ok(written)
    }

    /// Takes in a written row.
    pub(crate) fn load(&mut self, (region, table, id, row): Written) -> Result<(), LoadError> {
        let region = if region == GLOBAL {
            &mut self.global
        } else {
            self.regions.entry(region).or_insert_with_key(|name| Region::named(name))
        };
        region.furnished = true;
        region.load(&table, &id, row)
    }
}

/// Why a written row cannot be taken in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// A newer program wrote it.
    #[error("there is a table `{0}` that this version does not know")]
    UnknownTable(String),
    /// The object does not have the shape of its table.
    #[error("the object does not have the shape of its table")]
    Shape(#[from] serde_json::Error),
}

macro_rules! region {
    ($($(#[$doc:meta])* $field:ident: $row:ident),* $(,)?) => {
        /// One region of the account.
        #[derive(Debug, Default)]
        pub(crate) struct Region {
            /// Its name.
            pub(crate) name: String,
            furnished: bool,
            /// Up to where the controllers in the clusters have seen everything.
            pub(crate) watched: Watched,
            /// What went from clusters lately; it does not persist.
            pub(crate) departed: Departed,
            $($(#[$doc])* pub(crate) $field: Table<$row>,)*
        }

        impl Region {
            fn load(&mut self, table: &str, id: &str, row: Value) -> Result<(), LoadError> {
                match table {
                    $($row::TABLE => self.$field.load(id, row)?,)*
                    other => return Err(LoadError::UnknownTable(other.to_owned())),
                }
                Ok(())
            }

            /// Takes out what must be written.
            pub(crate) fn drain(&mut self) -> Result<Vec<Written>, serde_json::Error> {
                let mut written = Vec::new();
                $(if self.$field.is_changed() {
                    for (id, row) in self.$field.drain()? {
                        written.push((self.name.clone(), $row::TABLE.to_owned(), id, row));
                    }
                })*
                Ok(written)
            }

            /// Everything, to be written.
            pub(crate) fn dump(&self) -> Result<Vec<Written>, serde_json::Error> {
                let mut written = Vec::new();
                $(for (id, row) in self.$field.dump()? {
                    written.push((self.name.clone(), $row::TABLE.to_owned(), id, row));
                })*
                Ok(written)
            }

            /// How many objects of each type there are: table, ours, and those the account had from the start.
            pub(crate) fn counts(&self) -> Vec<(&'static str, usize, usize)> {
                vec![$({
                    let native = self.$field.iter().filter(|row| row.head().native).count();
                    ($row::TABLE, self.$field.len() - native, native)
                },)*]
            }

            /// Whether there is nothing.
            fn is_empty(&self) -> bool {
                true $(&& self.$field.len() == 0)*
            }

            /// The tags of an object that a caller can see.
            pub(crate) fn tags(&self, id: &str, now: Timestamp) -> Option<&Tags> {
                $(if let Some(row) = self.$field.seen(id, now) {
                    return Some(&row.head().tags);
                })*
                None
            }

            /// Changes the tags of an object.
            pub(crate) fn edit_tags(&mut self, id: &str, change: impl FnOnce(&mut Tags)) {
                $(if self.$field.get(id).is_some() {
                    self.$field.edit(id, |row| change(&mut row.head_mut().tags));
                    return;
                })*
            }

            /// All objects but those the account had from the start: table and id.
            pub(crate) fn ids(&self) -> Vec<(&'static str, String)> {
                let mut ids = Vec::new();
                $(ids.extend(self.$field.iter().filter(|row| !row.head().native)
                    .map(|row| ($row::TABLE, row.head().id.clone())));)*
                ids
            }

            /// The ids of all objects linked to a key.
            pub(crate) fn linked_ids(&self, key: &str) -> Vec<String> {
                let mut ids = Vec::new();
                $(ids.extend(self.$field.linked(key).map(|row| row.head().id.clone()));)*
                ids
            }

            /// Every tag of every object that a caller can see: table, id, tags.
            pub(crate) fn all_tags(&self, now: Timestamp) -> Vec<(&'static str, &str, &Tags)> {
                let mut all = Vec::new();
                $(all.extend(self.$field.iter().filter(|row| row.head().visible_at <= now && !row.head().tags.is_empty())
                    .map(|row| ($row::TABLE, row.head().id.as_str(), &row.head().tags)));)*
                all
            }
        }
    };
}

region! {
    /// Virtual private clouds.
    vpcs: Vpc,
    /// Subnets.
    subnets: Subnet,
    /// Internet gateways.
    internet_gateways: InternetGateway,
    /// Egress-only internet gateways.
    egress_gateways: EgressOnlyGateway,
    /// Elastic IP addresses.
    addresses: Address,
    /// NAT gateways.
    nat_gateways: NatGateway,
    /// Route tables.
    route_tables: RouteTable,
    /// Security groups.
    security_groups: SecurityGroup,
    /// Rules of security groups.
    security_group_rules: SecurityGroupRule,
    /// Network interfaces.
    interfaces: NetworkInterface,
    /// Network access control lists.
    network_acls: NetworkAcl,
    /// Sets of DHCP options.
    dhcp_options: DhcpOptions,
    /// EKS clusters.
    clusters: Cluster,
    /// Their managed node groups.
    nodegroups: Nodegroup,
    /// Their add-ons.
    addons: Addon,
    /// Who may enter them.
    access_entries: AccessEntry,
    /// Which roles their pods get.
    pod_identities: PodIdentity,
    /// Changes to them that take time.
    updates: Update,
    /// What is in them.
    kubernetes_objects: KubernetesObject,
    /// The stores behind their API servers.
    kubernetes_stores: KubernetesStore,
    /// Instances.
    instances: Instance,
    /// Load balancers.
    load_balancers: LoadBalancer,
    /// Listeners of load balancers.
    listeners: Listener,
    /// Target groups.
    target_groups: TargetGroup,
    /// Log groups.
    log_groups: LogGroup,
    /// Connections between VPCs (in `aws-global` only, because their ends may be in two regions).
    vpc_peerings: VpcPeering,
    /// Roles of IAM (in `aws-global` only).
    roles: Role,
    /// OpenID Connect providers of IAM (in `aws-global` only).
    oidc_providers: OidcProvider,
    /// Client tokens that were used.
    tokens: Token,
}

impl Region {
    fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }
}
