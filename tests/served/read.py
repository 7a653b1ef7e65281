"""Reads through boto3 what the engine applied, and compares it with what the engine remembers.

The argument is the engine's state: {address: {"id", "outputs", "spec"}}.
"""

import ipaddress
import json
import sys

import boto3

state = json.loads(sys.argv[1])
ec2 = boto3.client("ec2", region_name="us-west-2")


def known(kind):
    """The records of a kind, by id."""
    return {record["id"]: record for address, record in state.items() if address.startswith(kind + "/")}


def by_id(things, key):
    found = {thing[key]: thing for thing in things}
    assert len(found) == len(things), f"{key} occurs twice: {things}"
    return found


def tags(thing):
    return {tag["Key"]: tag["Value"] for tag in thing["Tags"]}


def pages(operation, member, **arguments):
    return [page[member] for page in ec2.get_paginator(operation).paginate(**arguments)]


def all_of(operation, member, **arguments):
    return [thing for page in pages(operation, member, **arguments) for thing in page]


def only(things):
    assert len(things) == 1, things
    return things[0]


def where(**filters):
    return [{"Name": name.replace("_", "-"), "Values": [value]} for name, value in filters.items()]


OURS = [{"Name": "tag:meshplan:mesh", "Values": ["mesh1"]}]

# VPCs: the account's default one is there, and ours are found by their tags.
assert len(all_of("describe_vpcs", "Vpcs")) == 3
assert len(all_of("describe_vpcs", "Vpcs", Filters=where(is_default="true"))) == 1
vpcs = by_id(all_of("describe_vpcs", "Vpcs", Filters=OURS), "VpcId")
assert vpcs.keys() == known("aws.vpc").keys(), vpcs
assert {vpc["CidrBlock"] for vpc in vpcs.values()} == {"10.1.0.0/16", "10.2.0.0/16"}
for id, vpc in vpcs.items():
    assert (vpc["State"], vpc["OwnerId"], vpc["IsDefault"]) == ("available", "123456789012", False), vpc
    assert vpc["InstanceTenancy"] == "default" and vpc["DhcpOptionsId"].startswith("dopt-"), vpc
    assert only(vpc["CidrBlockAssociationSet"])["CidrBlockState"] == {"State": "associated"}, vpc
    block = only(vpc["Ipv6CidrBlockAssociationSet"])
    assert block["Ipv6CidrBlockState"]["State"] == "associated", vpc
    assert block["Ipv6CidrBlock"] == known("aws.vpc")[id]["outputs"]["ipv6_cidr"], vpc
    assert ipaddress.ip_network(block["Ipv6CidrBlock"]).prefixlen == 56, vpc
    assert tags(vpc)["owner"] == "platform" and tags(vpc)["meshplan:mesh"] == "mesh1", vpc
    assert f"aws.vpc/{tags(vpc)['Name'].removeprefix('mesh1-')}" == tags(vpc)["meshplan:address"], vpc
    for attribute, member in [("enableDnsSupport", "EnableDnsSupport"), ("enableDnsHostnames", "EnableDnsHostnames")]:
        answer = ec2.describe_vpc_attribute(VpcId=id, Attribute=attribute)
        assert answer["VpcId"] == id and answer[member] == {"Value": True}, answer
answer = ec2.describe_vpc_attribute(VpcId=id, Attribute="enableNetworkAddressUsageMetrics")
assert answer["EnableNetworkAddressUsageMetrics"] == {"Value": False}, answer

# Subnets, in pages.
found = pages("describe_subnets", "Subnets", Filters=OURS, PaginationConfig={"PageSize": 5})
assert [len(page) for page in found] == [5, 5, 2], found
subnets = by_id([subnet for page in found for subnet in page], "SubnetId")
assert subnets.keys() == known("aws.subnet").keys()
for id, subnet in subnets.items():
    spec = known("aws.subnet")[id]["spec"]
    vpc = vpcs[subnet["VpcId"]]
    block = ipaddress.ip_network(subnet["CidrBlock"])
    assert block.subnet_of(ipaddress.ip_network(vpc["CidrBlock"])), subnet
    v6 = ipaddress.ip_network(only(subnet["Ipv6CidrBlockAssociationSet"])["Ipv6CidrBlock"])
    assert v6.prefixlen == 64, subnet
    assert v6.subnet_of(ipaddress.ip_network(vpc["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"])), subnet
    assert only(subnet["Ipv6CidrBlockAssociationSet"])["Ipv6CidrBlockState"]["State"] == "associated", subnet
    assert subnet["AvailabilityZoneId"] == known("aws.subnet")[id]["outputs"]["availability_zone_id"], subnet
    public = "/public-" in tags(subnet)["meshplan:address"]
    role = "kubernetes.io/role/elb" if public else "kubernetes.io/role/internal-elb"
    assert tags(subnet)[role] == "1", subnet
    assert subnet["MapPublicIpOnLaunch"] is spec["map_public_ip_on_launch"], subnet
    assert subnet["AssignIpv6AddressOnCreation"] is spec["assign_ipv6_address_on_creation"], subnet
    assert subnet["State"] == "available" and subnet["DefaultForAz"] is False, subnet
    # AWS keeps five addresses of each subnet; a NAT gateway takes one more.
    assert block.num_addresses - subnet["AvailableIpAddressCount"] in (5, 6), subnet
    assert subnet["SubnetArn"] == f"arn:aws:ec2:us-west-2:123456789012:subnet/{id}", subnet
per_zone = all_of("describe_subnets", "Subnets", Filters=OURS + where(availability_zone="us-west-2b"))
assert len(per_zone) == 4, per_zone
first = next(iter(vpcs))
wild = [{"Name": "tag:meshplan:address", "Values": ["aws.subnet/network1/private-?"]}]
assert len(all_of("describe_subnets", "Subnets", Filters=wild)) == 3

# NAT gateways, their addresses and interfaces.
nats = by_id(all_of("describe_nat_gateways", "NatGateways", Filters=where(state="available")), "NatGatewayId")
assert nats.keys() == known("aws.nat_gateway").keys()
addresses = by_id(ec2.describe_addresses()["Addresses"], "AllocationId")
assert addresses.keys() == known("aws.eip").keys()
for id, nat in nats.items():
    assert (nat["State"], nat["ConnectivityType"]) == ("available", "public"), nat
    assert subnets[nat["SubnetId"]]["VpcId"] == nat["VpcId"], nat
    its = only(nat["NatGatewayAddresses"])
    address = addresses[its["AllocationId"]]
    assert address["PublicIp"] == its["PublicIp"] == known("aws.eip")[its["AllocationId"]]["outputs"]["public_ip"], nat
    assert address["NetworkInterfaceId"] == its["NetworkInterfaceId"], address
    assert address["AssociationId"].startswith("eipassoc-") and address["Domain"] == "vpc", address
    assert its["IsPrimary"] is True and its["Status"] == "succeeded", nat
    interface = only(ec2.describe_network_interfaces(NetworkInterfaceIds=[its["NetworkInterfaceId"]])["NetworkInterfaces"])
    assert interface["InterfaceType"] == "nat_gateway" and interface["SubnetId"] == nat["SubnetId"], interface
    assert interface["PrivateIpAddress"] == its["PrivateIp"], interface
    assert ipaddress.ip_address(its["PrivateIp"]) in ipaddress.ip_network(subnets[nat["SubnetId"]]["CidrBlock"]), nat
    assert nat["CreateTime"].year >= 2026, nat
assert by_id(ec2.describe_addresses(Filters=OURS)["Addresses"], "AllocationId").keys() == addresses.keys()

# Gateways to the internet, both families and out only.
gateways = by_id(all_of("describe_internet_gateways", "InternetGateways", Filters=OURS), "InternetGatewayId")
assert gateways.keys() == known("aws.internet_gateway").keys()
assert {only(gateway["Attachments"])["VpcId"] for gateway in gateways.values()} == vpcs.keys()
assert {only(gateway["Attachments"])["State"] for gateway in gateways.values()} == {"available"}
one = [{"Name": "attachment.vpc-id", "Values": [first]}]
one = only(all_of("describe_internet_gateways", "InternetGateways", Filters=one))
assert one["Attachments"][0]["VpcId"] == first, one
egress = all_of("describe_egress_only_internet_gateways", "EgressOnlyInternetGateways", Filters=OURS)
egress = by_id(egress, "EgressOnlyInternetGatewayId")
assert egress.keys() == known("aws.egress_only_internet_gateway").keys()
assert {only(gateway["Attachments"])["VpcId"] for gateway in egress.values()} == vpcs.keys()
assert {only(gateway["Attachments"])["State"] for gateway in egress.values()} == {"attached"}

# Route tables: ours, and the main one of each VPC, which nothing of ours uses.
tables = by_id(all_of("describe_route_tables", "RouteTables", Filters=OURS), "RouteTableId")
assert tables.keys() == known("aws.route_table").keys()
assert len(all_of("describe_route_tables", "RouteTables", Filters=[{"Name": "association.main", "Values": ["true"]}])) == 3
used = set()
for id, table in tables.items():
    private = "/private" in tags(table)["meshplan:address"]
    routes = {route.get("DestinationCidrBlock", route.get("DestinationIpv6CidrBlock")): route for route in table["Routes"]}
    vpc = vpcs[table["VpcId"]]
    for local in (vpc["CidrBlock"], vpc["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"]):
        route = routes.pop(local)
        assert (route["GatewayId"], route["Origin"]) == ("local", "CreateRouteTable"), route
    assert all(route["State"] == "active" and route["Origin"] == "CreateRoute" for route in routes.values()), table
    if private:
        assert nats[routes["0.0.0.0/0"]["NatGatewayId"]]["VpcId"] == table["VpcId"], table
        assert routes["::/0"]["EgressOnlyInternetGatewayId"] in egress, table
    else:
        assert {routes["0.0.0.0/0"]["GatewayId"], routes["::/0"]["GatewayId"]} <= gateways.keys(), table
    for association in table["Associations"]:
        assert association["AssociationState"] == {"State": "associated"} and not association["Main"], association
        assert ("/private" in tags(subnets[association["SubnetId"]])["meshplan:address"]) == private, association
        used.add(association["SubnetId"])
assert used == subnets.keys()
subnet = next(iter(subnets))
table = only(all_of("describe_route_tables", "RouteTables", Filters=[{"Name": "association.subnet-id", "Values": [subnet]}]))
assert table["RouteTableId"] == known("aws.subnet")[subnet]["spec"]["route_table_id"], table
assert table["RouteTableId"] in tables

# Tags as things of their own, in pages.
found = all_of("describe_tags", "Tags", Filters=where(key="meshplan:address"), PaginationConfig={"PageSize": 5})
tagged = {tag["ResourceId"]: tag["Value"] for tag in found}
assert tagged == {record["id"]: address for address, record in state.items() if not address.startswith("aws.route/")}, tagged
assert {tag["ResourceType"] for tag in found} == {
    "vpc", "subnet", "natgateway", "elastic-ip", "internet-gateway", "egress-only-internet-gateway", "route-table",
}, found

# What comes with a VPC.
group = only(all_of("describe_security_groups", "SecurityGroups", Filters=where(vpc_id=first)))
assert group["GroupName"] == "default" and group["IpPermissions"][0]["UserIdGroupPairs"][0]["GroupId"] == group["GroupId"]
assert only(all_of("describe_network_acls", "NetworkAcls", Filters=where(vpc_id=first)))["IsDefault"] is True

# boto3's own waiters agree that all is ready.
ec2.get_waiter("vpc_available").wait(VpcIds=list(vpcs))
ec2.get_waiter("subnet_available").wait(SubnetIds=list(subnets))
ec2.get_waiter("nat_gateway_available").wait(NatGatewayIds=list(nats))
ec2.get_waiter("internet_gateway_exists").wait(InternetGatewayIds=list(gateways))

# Looking around.
regions = {region["RegionName"]: region for region in ec2.describe_regions()["Regions"]}
assert {"us-west-2", "eu-central-1"} <= regions.keys(), regions
assert regions["us-west-2"]["Endpoint"] == "ec2.us-west-2.amazonaws.com"
assert regions["us-west-2"]["OptInStatus"] == "opt-in-not-required"
zones = {zone["ZoneName"]: zone for zone in ec2.describe_availability_zones()["AvailabilityZones"]}
assert {zone["ZoneId"] for zone in zones.values()} >= {"usw2-az1", "usw2-az2", "usw2-az3"}, zones
assert {zone["State"] for zone in zones.values()} == {"available"}, zones
attributes = {
    attribute["AttributeName"]: [value["AttributeValue"] for value in attribute["AttributeValues"]]
    for attribute in ec2.describe_account_attributes()["AccountAttributes"]
}
assert attributes["supported-platforms"] == ["VPC"] and attributes["max-elastic-ips"] == ["5"], attributes
assert attributes["default-vpc"][0].startswith("vpc-") and attributes["default-vpc"][0] not in vpcs, attributes
offered = all_of("describe_instance_type_offerings", "InstanceTypeOfferings", LocationType="availability-zone",
                 Filters=where(instance_type="m6i.large"))
assert {offer["Location"] for offer in offered} == zones.keys(), offered
identity = boto3.client("sts", region_name="us-west-2").get_caller_identity()
assert identity["Account"] == "123456789012" and identity["Arn"].startswith("arn:aws:"), identity
# Another region is another place, with a default VPC of its own and nothing of ours.
elsewhere = boto3.client("ec2", region_name="eu-central-1")
assert only(elsewhere.describe_vpcs()["Vpcs"])["IsDefault"] is True
assert elsewhere.describe_nat_gateways()["NatGateways"] == []
print("read")
