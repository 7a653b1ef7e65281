"""Counts what exists in us-west-2 besides what the region has from the start, by the kind that makes it."""
import boto3, json
ec2 = boto3.client("ec2", region_name="us-west-2")
native = {v["VpcId"] for v in ec2.describe_vpcs()["Vpcs"] if v["IsDefault"]}
tables = [t for t in ec2.describe_route_tables()["RouteTables"] if not any(a["Main"] for a in t["Associations"])]
counts = {
    "aws.vpc": len([v for v in ec2.describe_vpcs()["Vpcs"] if v["VpcId"] not in native]),
    "aws.subnet": len([s for s in ec2.describe_subnets()["Subnets"] if s["VpcId"] not in native]),
    "aws.route_table": len(tables),
    "aws.route": len([r for t in tables for r in t["Routes"] if r.get("GatewayId") != "local"]),
    "association": sum(len(t["Associations"]) for t in tables),
    "aws.internet_gateway": len(ec2.describe_internet_gateways()["InternetGateways"]),
    "aws.egress_only_internet_gateway":
        len(ec2.describe_egress_only_internet_gateways()["EgressOnlyInternetGateways"]),
    "aws.nat_gateway": len([n for n in ec2.describe_nat_gateways()["NatGateways"] if n["State"] != "deleted"]),
    "aws.eip": len(ec2.describe_addresses()["Addresses"]),
}
print(json.dumps({kind: count for kind, count in counts.items() if count}))
