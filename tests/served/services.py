"""Roles, load balancers and log groups through boto3: made, read, refused as by AWS, and taken back.

The argument is the engine's state: {address: {"id", "outputs", "spec"}}. Nothing is left in the end.
"""

import json
import sys
import time

import boto3
from botocore.exceptions import ClientError

state = json.loads(sys.argv[1])
REGION = "us-west-2"
ec2 = boto3.client("ec2", region_name=REGION)
elb = boto3.client("elbv2", region_name=REGION)
logs = boto3.client("logs", region_name=REGION)
# IAM is the same wherever it is asked.
iam, elsewhere = (boto3.client("iam", region_name=region) for region in (REGION, "eu-central-1"))
SOON = {"Delay": 1, "MaxAttempts": 60}


def refused(code, call, status=400, **arguments):
    """The call is refused with this code; answers the message."""
    try:
        answer = call(**arguments)
    except ClientError as error:
        told = (error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"])
        assert told == (code, status), error.response
        return error.response["Error"]["Message"]
    raise AssertionError(f"not refused with {code}: {answer}")


def all_of(client, operation, member, **arguments):
    return [thing for page in client.get_paginator(operation).paginate(**arguments) for thing in page[member]]


def soon(question):
    """Asks until the answer is true."""
    for _ in range(60):
        if question():
            return
        time.sleep(1)
    raise AssertionError("it never came true")


# A role's life. boto3 decodes the documents that IAM encodes.
TRUST = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "eks.amazonaws.com"}, "Action": ["sts:AssumeRole", "sts:TagSession"]}]}
NAME, CLUSTER = "mesh1-cluster-1-eks", "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"
TAGS = [{"Key": "meshplan:mesh", "Value": "mesh1"}]
role = iam.create_role(RoleName=NAME, AssumeRolePolicyDocument=json.dumps(TRUST), Tags=TAGS, Description="<&> ü")["Role"]
assert role["Arn"] == f"arn:aws:iam::123456789012:role/{NAME}" and role["AssumeRolePolicyDocument"] == TRUST, role
iam.get_waiter("role_exists").wait(RoleName=NAME, WaiterConfig=SOON)
role = elsewhere.get_role(RoleName=NAME)["Role"]
assert (role["Tags"], role["Description"], role["MaxSessionDuration"], role["Path"]) == (TAGS, "<&> ü", 3600, "/"), role
message = refused("EntityAlreadyExists", iam.create_role, status=409, RoleName=NAME,
                  AssumeRolePolicyDocument=json.dumps(TRUST))
assert message == f"Role with name {NAME} already exists.", message
refused("MalformedPolicyDocument", iam.update_assume_role_policy, RoleName=NAME, PolicyDocument="{}")
refused("NoSuchEntity", iam.get_role, status=404, RoleName="nobody")
refused("ValidationError", iam.get_role, RoleName="x" * 64 + "y")
iam.attach_role_policy(RoleName=NAME, PolicyArn=CLUSTER)
refused("NoSuchEntity", iam.attach_role_policy, status=404, RoleName=NAME, PolicyArn="arn:aws:iam::aws:policy/Nothing")
attached = all_of(iam, "list_attached_role_policies", "AttachedPolicies", RoleName=NAME)
assert attached == [{"PolicyName": "AmazonEKSClusterPolicy", "PolicyArn": CLUSTER}], attached
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*"}]}
iam.put_role_policy(RoleName=NAME, PolicyName="look", PolicyDocument=json.dumps(POLICY))
assert all_of(iam, "list_role_policies", "PolicyNames", RoleName=NAME) == ["look"]
assert iam.get_role_policy(RoleName=NAME, PolicyName="look")["PolicyDocument"] == POLICY
version = iam.get_policy(PolicyArn=CLUSTER)["Policy"]["DefaultVersionId"]
document = iam.get_policy_version(PolicyArn=CLUSTER, VersionId=version)["PolicyVersion"]["Document"]
assert document["Version"] == "2012-10-17" and document["Statement"], document
assert NAME in [role["RoleName"] for role in all_of(iam, "list_roles", "Roles", PaginationConfig={"PageSize": 1})]
message = refused("DeleteConflict", iam.delete_role, status=409, RoleName=NAME)
assert message == "Cannot delete entity, must detach all policies first.", message
iam.detach_role_policy(RoleName=NAME, PolicyArn=CLUSTER)
iam.delete_role_policy(RoleName=NAME, PolicyName="look")
iam.delete_role(RoleName=NAME)
refused("NoSuchEntity", iam.get_role, status=404, RoleName=NAME)
ISSUER = "https://oidc.eks.us-west-2.amazonaws.com/id/0123456789ABCDEF"
arn = iam.create_open_id_connect_provider(Url=ISSUER, ClientIDList=["sts.amazonaws.com"])["OpenIDConnectProviderArn"]
soon(lambda: arn in [one["Arn"] for one in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]])
assert iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)["ClientIDList"] == ["sts.amazonaws.com"]
iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)

# A load balancer in the public subnets of what the engine made.
vpc = state["aws.vpc/network1"]["id"]
subnets = [record["id"] for address, record in sorted(state.items()) if address.startswith("aws.subnet/network1/public-")]
made = dict(Name="gateway", Type="network", Subnets=subnets, IpAddressType="dualstack", Tags=TAGS)
balancer = elb.create_load_balancer(**made)["LoadBalancers"][0]
arn = balancer["LoadBalancerArn"]
assert (balancer["State"]["Code"], balancer["Type"], balancer["VpcId"]) == ("provisioning", "network", vpc), balancer
assert [zone["SubnetId"] for zone in balancer["AvailabilityZones"]] == subnets, balancer
assert elb.create_load_balancer(**made)["LoadBalancers"][0]["LoadBalancerArn"] == arn
refused("DuplicateLoadBalancerName", elb.create_load_balancer, **{**made, "IpAddressType": "ipv4"})
refused("LoadBalancerNotFound", elb.describe_load_balancers, Names=["nobody"])
elb.get_waiter("load_balancer_available").wait(LoadBalancerArns=[arn], WaiterConfig=SOON)
assert elb.describe_tags(ResourceArns=[arn])["TagDescriptions"] == [{"ResourceArn": arn, "Tags": TAGS}]
group = elb.create_target_group(Name="k8s-gateway", Protocol="TCP", Port=15443, VpcId=vpc, TargetType="ip",
                                HealthCheckProtocol="HTTP", HealthCheckPath="/healthz/ready", HealthCheckPort="15021")
group = group["TargetGroups"][0]
assert (group["HealthCheckPath"], group["Matcher"], group["IpAddressType"]) == ("/healthz/ready", {"HttpCode": "200-399"}, "ipv4")
group = group["TargetGroupArn"]
action = [{"Type": "forward", "TargetGroupArn": group}]
listener = elb.create_listener(LoadBalancerArn=arn, Protocol="TCP", Port=15443, DefaultActions=action)["Listeners"][0]
elb.register_targets(TargetGroupArn=group, Targets=[{"Id": "10.1.0.99"}])
elb.get_waiter("target_in_service").wait(TargetGroupArn=group, WaiterConfig=SOON)
refused("ResourceInUse", elb.delete_target_group, TargetGroupArn=group)
left = lambda: ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": ["ELB net/gateway/*"]}])["NetworkInterfaces"]
assert {interface["SubnetId"] for interface in left()} == set(subnets), left()
assert all(len(interface["Ipv6Addresses"]) == 1 and interface["Association"]["PublicIp"] for interface in left()), left()
gateway = state["aws.internet_gateway/network1"]["id"]
message = refused("DependencyViolation", ec2.detach_internet_gateway, InternetGatewayId=gateway, VpcId=vpc)
assert "mapped public address" in message, message
elb.delete_load_balancer(LoadBalancerArn=arn)
elb.get_waiter("load_balancers_deleted").wait(LoadBalancerArns=[arn], WaiterConfig=SOON)
refused("ListenerNotFound", elb.describe_listeners, ListenerArns=[listener["ListenerArn"]])
soon(lambda: not left())
elb.delete_target_group(TargetGroupArn=group)
assert all_of(elb, "describe_target_groups", "TargetGroups") == []

# Log groups.
GROUP = "/aws/eks/cluster-1/cluster"
logs.create_log_group(logGroupName=GROUP, tags={"owner": "me"})
refused("ResourceAlreadyExistsException", logs.create_log_group, logGroupName=GROUP)
logs.put_retention_policy(logGroupName=GROUP, retentionInDays=30)
(found,) = all_of(logs, "describe_log_groups", "logGroups", logGroupNamePrefix="/aws/eks/")
assert (found["logGroupName"], found["retentionInDays"], found["storedBytes"]) == (GROUP, 30, 0), found
assert logs.list_tags_for_resource(resourceArn=found["logGroupArn"])["tags"] == {"owner": "me"}
logs.delete_log_group(logGroupName=GROUP)
refused("ResourceNotFoundException", logs.delete_log_group, logGroupName=GROUP)
print("used")
