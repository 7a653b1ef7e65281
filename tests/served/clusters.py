"""A cluster's whole life through boto3, in a network that the engine applied: nothing is left in the end.

The argument is the engine's state: {address: {"id", "outputs", "spec"}}. The waiters are boto3's own.
"""

import base64
import json
import sys
import time

import boto3
from botocore.exceptions import ClientError

state = json.loads(sys.argv[1])
REGION = "us-west-2"
ec2, eks, iam, logs = (boto3.client(name, region_name=REGION) for name in ("ec2", "eks", "iam", "logs"))
SOON = {"Delay": 1, "MaxAttempts": 120}
CLUSTER, NODES = "cluster-2", "nodes-abc123"


def refused(code, call, status=400, **arguments):
    """The call is refused with this code; answers the refusal."""
    try:
        answer = call(**arguments)
    except ClientError as error:
        told = (error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"])
        assert told == (code, status), error.response
        return error.response
    raise AssertionError(f"not refused with {code}: {answer}")


def finished(update, **of):
    """Waits for an update."""
    for _ in range(120):
        now = eks.describe_update(name=CLUSTER, updateId=update["id"], **of)["update"]
        if now["status"] != "InProgress":
            assert now["status"] == "Successful" and now["errors"] == [], now
            return now
        time.sleep(0.2)
    raise AssertionError(f"it never ends: {now}")


def role(name, service, *policies, inline=None):
    trust = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": service}, "Action": ["sts:AssumeRole", "sts:TagSession"]}]}
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]
    iam.get_waiter("role_exists").wait(RoleName=name, WaiterConfig=SOON)
    for policy in policies:
        iam.attach_role_policy(RoleName=name, PolicyArn=f"arn:aws:iam::aws:policy/{policy}")
    if inline:
        iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=json.dumps(inline))
    return made["Arn"]


CNI = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Resource": "*", "Action": [
        "ec2:AssignIpv6Addresses", "ec2:DescribeInstances", "ec2:DescribeTags", "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeInstanceTypes", "ec2:DescribeSubnets", "ec2:DescribeSecurityGroups"]},
    {"Effect": "Allow", "Resource": "arn:aws:ec2:*:*:network-interface/*", "Action": "ec2:CreateTags"}]}
control_plane = role("control-plane", "eks.amazonaws.com", "AmazonEKSClusterPolicy")
node = role("node", "ec2.amazonaws.com", "AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly")
cni = role("cni", "pods.eks.amazonaws.com", inline=CNI)
subnets = sorted(its["id"] for address, its in state.items() if address.startswith("aws.subnet/network2/private"))

# The cluster. A role is seen late: that refusal goes away by itself.
wanted = dict(
    name=CLUSTER, roleArn=control_plane, version="1.34", clientRequestToken="token-1", tags={"meshplan:mesh": "mesh1"},
    resourcesVpcConfig={"subnetIds": subnets, "endpointPrivateAccess": True, "publicAccessCidrs": ["203.0.113.0/24"]},
    kubernetesNetworkConfig={"ipFamily": "ipv6"}, accessConfig={"authenticationMode": "API"},
    bootstrapSelfManagedAddons=False, upgradePolicy={"supportType": "STANDARD"},
    logging={"clusterLogging": [{"types": ["api", "audit"], "enabled": True}]})
for _ in range(200):
    try:
        made = eks.create_cluster(**wanted)["cluster"]
        break
    except eks.exceptions.InvalidParameterException as error:
        told = error.response["message"]
        assert "does not exist" in told or "Managed Policies" in told, told
        time.sleep(0.02)
assert made["status"] == "CREATING" and made["createdAt"].year == 2026 and "endpoint" not in made, made
assert eks.create_cluster(**wanted)["cluster"]["createdAt"] == made["createdAt"]
taken = refused("ResourceInUseException", eks.create_cluster, status=409, **{**wanted, "clientRequestToken": "token-2"})
assert taken["clusterName"] == CLUSTER and taken["message"] == f"Cluster already exists with name: {CLUSTER}", taken
eks.get_waiter("cluster_active").wait(name=CLUSTER, WaiterConfig=SOON)
cluster = eks.describe_cluster(name=CLUSTER)["cluster"]
assert base64.b64decode(cluster["certificateAuthority"]["data"]).startswith(b"-----BEGIN CERTIFICATE-----")
assert cluster["kubernetesNetworkConfig"]["serviceIpv6Cidr"].startswith("fd"), cluster
assert cluster["resourcesVpcConfig"]["subnetIds"] == subnets and cluster["tags"] == {"meshplan:mesh": "mesh1"}, cluster
group = cluster["resourcesVpcConfig"]["clusterSecurityGroupId"]
assert eks.list_clusters()["clusters"] == [CLUSTER]
assert [its["logGroupName"] for its in logs.describe_log_groups()["logGroups"]] == [f"/aws/eks/{CLUSTER}/cluster"]

# Changes exclude each other.
update = eks.update_cluster_config(name=CLUSTER, resourcesVpcConfig={"publicAccessCidrs": ["198.51.100.7/32", "2001:db8::/32"]})
assert update["update"]["type"] == "EndpointAccessUpdate", update
busy = refused("ResourceInUseException", eks.update_cluster_version, status=409, name=CLUSTER, version="1.35")
assert update["update"]["id"] in busy["message"], busy
finished(update["update"])
finished(eks.update_cluster_version(name=CLUSTER, version="1.35")["update"])
assert eks.describe_cluster(name=CLUSTER)["cluster"]["version"] == "1.35"
assert len(eks.list_updates(name=CLUSTER)["updateIds"]) == 2

# Add-ons, nodes, and the add-on that waits for them.
versions = eks.describe_addon_versions(kubernetesVersion="1.35")["addons"]
assert [addon["addonName"] for addon in versions] == ["coredns", "eks-pod-identity-agent", "kube-proxy", "vpc-cni"]
for name in ("eks-pod-identity-agent", "kube-proxy", "coredns"):
    eks.create_addon(clusterName=CLUSTER, addonName=name, resolveConflicts="OVERWRITE")
eks.create_addon(clusterName=CLUSTER, addonName="vpc-cni", resolveConflicts="OVERWRITE",
                 configurationValues=json.dumps({"env": {"ENABLE_V4_EGRESS": "true"}}),
                 podIdentityAssociations=[{"serviceAccount": "aws-node", "roleArn": cni}])
eks.get_waiter("addon_active").wait(clusterName=CLUSTER, addonName="vpc-cni", WaiterConfig=SOON)
assert eks.list_pod_identity_associations(clusterName=CLUSTER)["associations"][0]["serviceAccount"] == "aws-node"
eks.create_nodegroup(clusterName=CLUSTER, nodegroupName=NODES, subnets=subnets, nodeRole=node, diskSize=20,
                     scalingConfig={"minSize": 2, "maxSize": 5, "desiredSize": 2}, instanceTypes=["m6i.large"])
eks.get_waiter("nodegroup_active").wait(clusterName=CLUSTER, nodegroupName=NODES, WaiterConfig=SOON)
eks.get_waiter("addon_active").wait(clusterName=CLUSTER, addonName="coredns", WaiterConfig=SOON)
nodes = eks.describe_nodegroup(clusterName=CLUSTER, nodegroupName=NODES)["nodegroup"]
assert nodes["health"]["issues"] == [] and nodes["amiType"] == "AL2023_x86_64_STANDARD", nodes
finished(eks.update_nodegroup_config(clusterName=CLUSTER, nodegroupName=NODES, labels={"addOrUpdateLabels": {"a": "b"}})
         ["update"], nodegroupName=NODES)
instances = ec2.describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["running"]}])["Reservations"]
assert len(instances) == 2, instances

# Access. An ARN in a path has slashes and colons.
admin = "arn:aws:iam::111122223333:role/platform/admin"
policy = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
eks.create_access_entry(clusterName=CLUSTER, principalArn=admin)
eks.associate_access_policy(clusterName=CLUSTER, principalArn=admin, policyArn=policy, accessScope={"type": "cluster"})
theirs = eks.list_associated_access_policies(clusterName=CLUSTER, principalArn=admin)["associatedAccessPolicies"]
assert [one["policyArn"] for one in theirs] == [policy], theirs
assert {admin, node} < set(eks.list_access_entries(clusterName=CLUSTER)["accessEntries"])
eks.disassociate_access_policy(clusterName=CLUSTER, principalArn=admin, policyArn=policy)

# The way back, with what stays behind.
attached = refused("ResourceInUseException", eks.delete_cluster, status=409, name=CLUSTER)
assert (attached["message"], attached["nodegroupName"]) == ("Cluster has nodegroups attached", NODES), attached
eks.delete_nodegroup(clusterName=CLUSTER, nodegroupName=NODES)
eks.get_waiter("nodegroup_deleted").wait(clusterName=CLUSTER, nodegroupName=NODES, WaiterConfig=SOON)
eks.delete_cluster(name=CLUSTER)
eks.get_waiter("cluster_deleted").wait(name=CLUSTER, WaiterConfig=SOON)
gone = refused("ResourceNotFoundException", eks.describe_cluster, status=404, name=CLUSTER)
assert gone["message"] == f"No cluster found for name: {CLUSTER}.", gone
left = ec2.describe_network_interfaces(Filters=[
    {"Name": "status", "Values": ["available"]},
    {"Name": "tag:cluster.k8s.amazonaws.com/name", "Values": [CLUSTER]}])["NetworkInterfaces"]
assert len(left) == 1 and left[0]["Description"].startswith("aws-K8S-i-"), left
refused("DependencyViolation", ec2.delete_security_group, GroupId=group)
ec2.delete_network_interface(NetworkInterfaceId=left[0]["NetworkInterfaceId"])
ec2.delete_security_group(GroupId=group)
logs.delete_log_group(logGroupName=f"/aws/eks/{CLUSTER}/cluster")
for name in ("control-plane", "node", "cni"):
    for attached in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
        iam.detach_role_policy(RoleName=name, PolicyArn=attached["PolicyArn"])
    for inline in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=name, PolicyName=inline)
    iam.delete_role(RoleName=name)
print("lived")
