"""Finds through boto3 the clusters that the engine made, and compares them with what the engine remembers.

The argument is the engine's state: {address: {"id", "outputs", "spec"}}.
"""

import json
import sys

import boto3

state = json.loads(sys.argv[1])
eks = boto3.client("eks", region_name="us-west-2")
iam = boto3.client("iam", region_name="us-west-2")
ec2 = boto3.client("ec2", region_name="us-west-2")

assert eks.list_clusters()["clusters"] == ["cluster-1", "cluster-2"]
for name, family in [("cluster-1", "ipv4"), ("cluster-2", "ipv6")]:
    record = state[f"eks.cluster/{name}"]
    cluster = eks.describe_cluster(name=name)["cluster"]
    assert cluster["status"] == "ACTIVE" and cluster["version"] == record["spec"]["version"], cluster
    assert cluster["kubernetesNetworkConfig"]["ipFamily"] == family, cluster
    assert cluster["endpoint"] == record["outputs"]["endpoint"], cluster
    assert cluster["resourcesVpcConfig"]["publicAccessCidrs"], cluster
    [group] = eks.list_nodegroups(clusterName=name)["nodegroups"]
    assert f"{name}/{group}" == state[f"eks.nodegroup/{name}/nodes"]["id"], group
    nodes = eks.describe_nodegroup(clusterName=name, nodegroupName=group)["nodegroup"]
    assert nodes["status"] == "ACTIVE" and nodes["scalingConfig"]["minSize"] == 2, nodes
    found = ec2.describe_instances(Filters=[{"Name": "tag:eks:cluster-name", "Values": [name]}])
    assert sum(len(its["Instances"]) for its in found["Reservations"]) == 2, found
    addons = sorted(eks.list_addons(clusterName=name)["addons"])
    assert addons == ["coredns", "eks-pod-identity-agent", "kube-proxy", "vpc-cni"], addons
    associations = eks.list_pod_identity_associations(clusterName=name)["associations"]
    controller = [it for it in associations if it["serviceAccount"] == "aws-load-balancer-controller"]
    assert len(controller) == 1, associations
    role = iam.get_role(RoleName=f"mesh1-{name}-eks")["Role"]
    assert role["Arn"] == cluster["roleArn"], role
print("found")
