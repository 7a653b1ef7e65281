"""Makes, changes and removes through boto3, and is refused where EC2 refuses.

The argument is the engine's state: {address: {"id", "outputs", "spec"}}. All that is left in the end is another value
of the tag `owner` on network1's VPC.
"""

import json
import sys

import boto3
from botocore.exceptions import ClientError

state = json.loads(sys.argv[1])
ec2 = boto3.client("ec2", region_name="us-west-2")
SOON = {"Delay": 1, "MaxAttempts": 60}


def refused(code, call, status=400, **arguments):
    """The call is refused with this code; answers the message."""
    try:
        answer = call(**arguments)
    except ClientError as error:
        told = (error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"])
        assert told == (code, status), error.response
        assert error.response["ResponseMetadata"]["RequestId"], error.response
        return error.response["Error"]["Message"]
    raise AssertionError(f"not refused with {code}: {answer}")


def spec(kind, **tags):
    return [{"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}]


# Things that are not there, and names that are none.
NOBODY = "0123456789abcdef0"
message = refused("InvalidVpcID.NotFound", ec2.describe_vpcs, VpcIds=[f"vpc-{NOBODY}"])
assert f"vpc-{NOBODY}" in message, message
refused("InvalidVpcID.NotFound", ec2.delete_vpc, VpcId=f"vpc-{NOBODY}")
refused("InvalidVpcID.NotFound", ec2.create_subnet, VpcId=f"vpc-{NOBODY}", CidrBlock="10.9.0.0/24")
refused("InvalidSubnetID.NotFound", ec2.describe_subnets, SubnetIds=[f"subnet-{NOBODY}"])
refused("InvalidRouteTableID.NotFound", ec2.delete_route_table, RouteTableId=f"rtb-{NOBODY}")
refused("InvalidInternetGatewayID.NotFound", ec2.delete_internet_gateway, InternetGatewayId=f"igw-{NOBODY}")
refused("InvalidAllocationID.NotFound", ec2.release_address, AllocationId=f"eipalloc-{NOBODY}")
refused("NatGatewayNotFound", ec2.describe_nat_gateways, NatGatewayIds=[f"nat-{NOBODY}"])
refused("InvalidID", ec2.create_tags, Resources=["nonsense"], Tags=[{"Key": "a", "Value": "b"}])
refused("InvalidVpcID.Malformed", ec2.delete_vpc, VpcId="vpc-what")
refused("InvalidParameterValue", ec2.describe_vpcs, Filters=[{"Name": "no-such-filter", "Values": ["x"]}])
refused("InvalidParameterValue", ec2.create_vpc, CidrBlock="10.9.0.0")
refused("InvalidVpc.Range", ec2.create_vpc, CidrBlock="10.0.0.0/8")

# Only asking.
before = len(ec2.describe_vpcs()["Vpcs"])
refused("DryRunOperation", ec2.create_vpc, status=412, CidrBlock="10.9.0.0/16", DryRun=True)
assert len(ec2.describe_vpcs()["Vpcs"]) == before

# A VPC's life.
vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16", TagSpecifications=spec("vpc", Name="by hand", note="<&>\"' ü"))["Vpc"]
assert vpc["State"] == "pending" and vpc["CidrBlock"] == "10.9.0.0/16", vpc
id = vpc["VpcId"]
ec2.get_waiter("vpc_exists").wait(VpcIds=[id], WaiterConfig=SOON)
ec2.get_waiter("vpc_available").wait(VpcIds=[id], WaiterConfig=SOON)
(vpc,) = ec2.describe_vpcs(VpcIds=[id])["Vpcs"]
assert {tag["Key"]: tag["Value"] for tag in vpc["Tags"]} == {"Name": "by hand", "note": "<&>\"' ü"}, vpc
ec2.modify_vpc_attribute(VpcId=id, EnableDnsHostnames={"Value": True})
assert ec2.describe_vpc_attribute(VpcId=id, Attribute="enableDnsHostnames")["EnableDnsHostnames"] == {"Value": True}

subnet = ec2.create_subnet(VpcId=id, CidrBlock="10.9.0.0/24", AvailabilityZone="us-west-2a")["Subnet"]["SubnetId"]
ec2.get_waiter("subnet_available").wait(SubnetIds=[subnet], WaiterConfig=SOON)
refused("InvalidSubnet.Conflict", ec2.create_subnet, VpcId=id, CidrBlock="10.9.0.128/25")
refused("InvalidSubnet.Range", ec2.create_subnet, VpcId=id, CidrBlock="10.10.0.0/24")
message = refused("DependencyViolation", ec2.delete_vpc, VpcId=id)
assert id in message, message

# Client tokens: the same request is the same object, another request is a mistake.
table = ec2.create_route_table(VpcId=id, ClientToken="token-1")["RouteTable"]["RouteTableId"]
again = ec2.create_route_table(VpcId=id, ClientToken="token-1")["RouteTable"]["RouteTableId"]
assert again == table
refused("IdempotentParameterMismatch", ec2.create_route_table, VpcId=id, ClientToken="token-1",
        TagSpecifications=spec("route-table", other="request"))
assert len(ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [id]}])["RouteTables"]) == 2

# A NAT gateway's life, with all that it needs.
gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=id)
refused("Resource.AlreadyAssociated", ec2.attach_internet_gateway, InternetGatewayId=gateway, VpcId=id)
refused("DependencyViolation", ec2.delete_internet_gateway, InternetGatewayId=gateway)
address = ec2.allocate_address(Domain="vpc")["AllocationId"]
nat = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address, ClientToken="token-2")["NatGateway"]
assert nat["State"] == "pending", nat
nat = nat["NatGatewayId"]
ec2.get_waiter("nat_gateway_available").wait(NatGatewayIds=[nat], WaiterConfig=SOON)
assert ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)["Return"] is True
refused("RouteAlreadyExists", ec2.create_route, RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)
association = ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)["AssociationId"]
assert association.startswith("rtbassoc-")
refused("DependencyViolation", ec2.delete_subnet, SubnetId=subnet)
refused("DependencyViolation", ec2.delete_route_table, RouteTableId=table)
assert ec2.delete_nat_gateway(NatGatewayId=nat)["NatGatewayId"] == nat
ec2.get_waiter("nat_gateway_deleted").wait(NatGatewayIds=[nat], WaiterConfig=SOON)
(table_now,) = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
assert [route["State"] for route in table_now["Routes"] if "NatGatewayId" in route] == ["blackhole"], table_now

# And everything is taken back.
ec2.release_address(AllocationId=address)
ec2.disassociate_route_table(AssociationId=association)
ec2.delete_route_table(RouteTableId=table)
ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=id)
ec2.delete_internet_gateway(InternetGatewayId=gateway)
ec2.delete_subnet(SubnetId=subnet)
ec2.delete_vpc(VpcId=id)
refused("InvalidVpcID.NotFound", ec2.describe_vpcs, VpcIds=[id])
assert len(ec2.describe_vpcs()["Vpcs"]) == before

# Tags, as other people change them.
ours = state["aws.vpc/network1"]["id"]
refused("InvalidParameterValue", ec2.create_tags, Resources=[ours], Tags=[{"Key": "aws:mine", "Value": "no"}])
ec2.create_tags(Resources=[ours], Tags=[{"Key": "owner", "Value": "somebody else"}])
answer = ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [ours]}, {"Name": "key", "Values": ["owner"]}])
assert [tag["Value"] for tag in answer["Tags"]] == ["somebody else"], answer
print("written")
