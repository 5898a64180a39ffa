"""What NetworkPolicies allow, by the rules of networking.k8s.io/v1: no cluster is here that would enforce them.

A pod that no policy of a direction selects is open in it; otherwise what one of them allows is allowed. A peer is a pod
({"namespace", "labels"}) or an address outside of the cluster ({"address"}), which only ipBlock matches.
"""
import ipaddress


def allows(policies, namespace, direction, labels, peer, port, protocol="TCP"):
    """Whether a pod of `namespace` with these labels may connect to the peer (egress), or the peer to it (ingress)."""
    selecting = [policy for policy in policies
                 if direction.capitalize() in policy["policyTypes"] and matches(policy["podSelector"], labels)]
    if not selecting:
        return True
    side = {"egress": "to", "ingress": "from"}[direction]
    return any(opens(rule, side, namespace, peer, port, protocol)
               for policy in selecting for rule in policy.get(direction, []))


def opens(rule, side, namespace, peer, port, protocol):
    ports = rule.get("ports")
    if ports and not any((one["protocol"], one["port"]) == (protocol, port) for one in ports):
        return False
    return not rule.get(side) or any(names(one, namespace, peer) for one in rule[side])


def names(selector, namespace, peer):
    """Whether one entry of `to` or `from` names the peer. Without a namespaceSelector it means the policy's own."""
    if "ipBlock" in selector:
        return "address" in peer and within(selector["ipBlock"], ipaddress.ip_address(peer["address"]))
    if "labels" not in peer:
        return False
    if "namespaceSelector" in selector:
        # The label that the API server gives every namespace.
        if not matches(selector["namespaceSelector"], {"kubernetes.io/metadata.name": peer["namespace"]}):
            return False
    elif peer["namespace"] != namespace:
        return False
    return matches(selector.get("podSelector", {}), peer["labels"])


def within(block, address):
    def contains(cidr):
        return address in ipaddress.ip_network(cidr)

    for hole in block.get("except", []):
        # The API server refuses one that is not inside.
        assert ipaddress.ip_network(hole).subnet_of(ipaddress.ip_network(block["cidr"]))
    return contains(block["cidr"]) and not any(map(contains, block.get("except", [])))


def matches(selector, labels):
    for one in selector.get("matchExpressions", []):
        assert one["operator"] == "In", one
        if labels.get(one["key"]) not in one["values"]:
            return False
    return selector.get("matchLabels", {}).items() <= labels.items()
