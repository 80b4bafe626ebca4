// Options that say what a network is, of every verb that takes a spec, or a part of one.
import type { Command } from "commander";
import { limitFlags } from "../endpoint/limit.ts";
import { repeated } from "../input/options.ts";
import { SPOOFING_WORDS } from "./draft.ts";
import { wayFlags } from "./way.ts";

/** What is chosen once, for a network that is not there yet. */
export function newFlags(command: Command): Command {
  return command
    .option(
      "--ipam <mode>",
      "local: routed, a block per host; global: one switched segment over all hosts (default without --host-prefix)",
    )
    .option("--subnet <cidr>", "addresses of the network; once per family", repeated)
    .option("--pool <name>", "take id and subnets from this pool, instead of --subnet")
    .option("--id <n>", "with --pool: take this id, not the lowest free one")
    .option("--prefix <length>", "with a --pool that has spaces: length of the subnet that is taken")
    .option("--prefix6 <length>", "the same of the IPv6 subnet, beside one of IPv4")
    .option("--host-prefix <length>", "ipam local: prefix length of each host's block; once per --subnet", repeated)
    .option("--vni <n>", "ipam global: VNI of the segment")
    .option("--slice <name=bridge>", "ipam local: a slice of each host's block, and its bridge; repeatable", repeated);
}

export function specFlags(command: Command): Command {
  return hostFlags(wayFlags(limitFlags(command, "none")))
    .option(
      "--gateway <address>",
      "ipam global: gateway address, or none; once per --subnet (an edit may give it alone)",
      repeated,
    )
    .option("--vrf <name>", "routing domain (default: one with the name of the network)")
    .option("--placement <where>", "own: in a namespace per VRF; host: in the hosts' own namespace")
    .option(
      "--bridge <name>",
      "placement host: name of its bridge on hosts, or auto: wb- and the network's (default); driver bridge without " +
        "--parent, and driver ovs: one that hosts have already",
    )
    .option("--strategy <name>", "ipam global: choice of a free address: lowest, next or random")
    .option("--sticky", "ipam global: give a returning owner its former address")
    .option("--no-sticky", "ipam global: give it any free address (default)")
    .option("--quarantine <seconds>", "time in which a released address goes only to its former owner (default: 60)")
    .option("--device <name>", "placement host: its tunnel or VLAN device, or auto: Weft names it (default)")
    .option("--take-over", "placement host: hosts take over its bridge and device if other programs made them")
    .option("--no-take-over", "these stay other programs' (default)")
    .option("--stp", "its bridges run the spanning tree protocol")
    .option("--no-stp", "they do not (default)")
    .option("--forward-delay <seconds>", "with --stp: how long a port listens, and then learns, or auto: 15 (default)")
    .option("--dns <address>", "name server for the endpoints, or none; repeatable", repeated)
    .option("--peers <how>", "ipam global: unicast, or multicast: broadcasts cross as one packet to a group")
    .option("--group <address>", "peers multicast: the group, or auto: it follows from the VNI (default)")
    .option("--ttl <hops>", "peers multicast: TTL of tunnel packets, or auto: 1 to the group (default)")
    .option(
      "--underlay-device <name>",
      "peers multicast: device of the hosts, or auto: that of their underlay (default); or name a --parent",
    )
    .option(
      "--outsider <address>",
      "peers multicast: machines in the group that are no hosts of the cluster, or none; repeatable",
      repeated,
    )
    .option("--mtu <bytes>", "MTU, or auto: as large as the hosts' underlay allows (default)")
    .option(
      "--offload <who>",
      "checksums of tunnels: on, off (the kernel writes them) or auto: off where they arrive wrong",
    )
    .option("--masquerade", "endpoints reach other networks under their host's address (default)")
    .option("--no-masquerade", "endpoints keep their own address")
    .option("--cni", "hosts that have a cni-dir write a CNI configuration for the network")
    .option("--cni-portmap", "the same, with the portmap plugin after Weft (needs a VRF with hostAccess)")
    .option("--no-cni", "hosts write no CNI configuration (default)")
    .option("--sg <name>", "security group of all endpoints, or none: nothing is filtered; repeatable", repeated)
    .option(
      "--spoofing <what>",
      `allow what the spoofing filter drops: ${SPOOFING_WORDS.join(", ")}; or none; repeatable`,
      repeated,
    )
    .option("--description <text>", "text that list and show print");
}

/** On which hosts it is, and what these have there. */
function hostFlags(command: Command): Command {
  return command
    .option(
      "--hosts <name>",
      "host that has the network also without endpoints, * for all that can, or none; repeatable",
      repeated,
    )
    .option(
      "--cluster <name>",
      "cluster whose hosts alone can carry the network, or none: every host; repeatable",
      repeated,
    )
    .option(
      "--host-address <host=address>",
      "placement host: a host's own address, or only auto or none; repeatable. An edit leaves those of other hosts; " +
        "HOST=none takes a host's away",
      repeated,
    );
}
