// Why an attach or detach is refused, in the words of its caller; and what is checked before anything is made.
import type { Ns } from "../../datapath/kinds/kind.ts";
import type { Refusal } from "../../kernel/kernel.ts";
import { checkInside } from "../../model/cluster.ts";
import { drainedFault, Fault } from "../../model/fault.ts";
import { DEFAULT_GROUP } from "../../model/group.ts";
import { limited, parseQos, patched, type Qos } from "../../model/qos.ts";
import type { Endpoint, Host, Network, Snapshot } from "../../model/resource.ts";
import type { AttachRequest } from "../../model/status.ts";
import type { BlockLease } from "../journal/blockLease.ts";

export function unknownNetwork(name: string, networks: readonly Network[]): Fault {
  const names = networks.map((network) => network.name).sort();
  return new Fault("network-unknown", {
    what: `there is no network "${name}"`,
    where: "network",
    fix: `create it, or use one of: ${names.slice(0, 10).join(", ") || "(none yet)"}`,
  });
}

/** Throws if the host takes no new endpoint of the network; of a global network the server decides the rest. */
export function checkTakes(host: Host, { name, spec }: Network, blockLease: Pick<BlockLease, "checkAllocate">): void {
  if (!spec.enabled) {
    const fix = "enable it, or use another network";
    throw new Fault("network-disabled", { what: `network "${name}" is disabled`, fix });
  }
  checkInside({ name, spec }, host.name);
  if (spec.ipam === "global") return;
  if (host.spec.drained === true) throw drainedFault(host.name);
  blockLease.checkAllocate();
}

export function attachedAlready({ name, spec }: Endpoint): Fault {
  const whose = spec.workload === undefined ? "" : ` for workload "${spec.workload}"`;
  return new Fault("name-taken", {
    what: `"${name}" is attached already`,
    why: `to network "${spec.network}" in ${spec.netns}${whose}, with ${spec.addresses.join(", ")}`,
    fix: `detach it first (weft detach ${name}), or give this one another --name`,
  });
}

/** The kernel's refusal as a Fault. */
export function faultOf(refusal: Refusal, { name, spec }: Endpoint): Fault {
  if (refusal.class === "exists") {
    return new Fault("interface-taken", {
      what: `"${spec.ifname}" is taken in ${spec.netns}`,
      where: "ifname",
      why: refusal.message,
      fix: "choose another --ifname, or remove the interface that is there",
    });
  }
  if (refusal.class === "missing") {
    return new Fault("netns-missing", {
      what: `the network namespace ${spec.netns} went away`,
      why: refusal.message,
      fix: "attach again once the workload runs",
    });
  }
  return new Fault("kernel-refused", {
    what: `the kernel refused endpoint "${name}"`,
    why: refusal.message,
    fix: "see the agent's log and `weft status`",
  });
}

/** A workload needs a namespace of its own, whatever path leads to it. */
export function netnsReserved(path: string, ns: Ns): Fault {
  return new Fault("netns-reserved", {
    what: `${path} is ${ns === "host" ? "the host's own network namespace" : `the namespace of VRF "${ns.slice(4)}"`}`,
    where: "netns",
    why: "an interface of a workload there would join networks that are kept apart",
    fix: "give the network namespace of a workload",
  });
}

/** A server of an earlier version may have admitted both networks. */
export function sharesDevice(network: string): Fault {
  return new Fault("name-taken", {
    what: `network "${network}" would share its bridge with another network of its VRF`,
    where: "network",
    why: "hosts name devices after networks, in 15 characters, and these two end in the same",
    fix: "make it anew under another name",
  });
}

export function notSynced(): Fault {
  return new Fault("not-synced", {
    what: "this host has not heard from its server yet and has no saved snapshot",
    fix: "wait for the agent to reach the server (see its log), then try again",
  });
}

/** Before the first round, an address that is free in the journal may belong to a port that the journal lost. */
export function notObserved(): Fault {
  return new Fault("unavailable", {
    what: "this host does not know yet what its kernel has",
    why: "its first look has failed, or is not over",
    fix: "try again; if it stays, see the agent's log",
  });
}

/** A port that the journal lost, and that no round could adopt or remove: the snapshot does not say whose it is. */
export function notAdopted(name: string): Fault {
  return new Fault("unavailable", {
    what: `endpoint "${name}" is not detached`,
    why: "the kernel has a port of this name that the journal has lost, and the server has not said yet whose it is",
    fix: "wait for the agent to reach the server (see its log), then try again",
  });
}

export function netnsMissing(path: string): Fault {
  return new Fault("netns-missing", {
    what: `there is no network namespace at "${path}"`,
    where: "netns",
    fix: "give an absolute path such as /run/netns/NAME or /proc/PID/ns/net (see `ip netns list`)",
  });
}

export function beingDetached(name: string): Fault {
  return new Fault("unavailable", {
    what: `"${name}" is detached, but the server cannot be told`,
    why: "its address is not free before the server has let go of it",
    fix: "try again when the server is back, or give this one another name",
  });
}

/** Throws if the snapshot lacks a group of the request: for a local network no one else checks it. */
export function checkGroupsKnown(groups: readonly string[] | undefined, snapshot: Snapshot): void {
  for (const [i, name] of (groups ?? []).entries()) {
    if (name === DEFAULT_GROUP || snapshot.securityGroups.some((group) => group.name === name)) continue;
    const what = `there is no security group "${name}"`;
    throw new Fault("group-unknown", { what, where: `securityGroups[${i}]`, fix: "see weft sg list" });
  }
}

export function notCutOff({ name }: Endpoint, { message }: Refusal): Fault {
  return new Fault("kernel-refused", {
    what: `the kernel did not take the port of endpoint "${name}" down`,
    why: message,
    fix: "see the agent's log and `weft status`; the agent goes on trying",
  });
}

/** Throws a Fault `qos-unsupported` if this host's kernel cannot keep a limit. */
export function checkShaping(self: Host, network: Network, request: AttachRequest): void {
  // In a global network the server checks this when it grants the lease, whose range may have limits, too.
  if (network.spec.ipam === "global") return;
  const levels = [limitsIn(request).qos, network.spec.qos];
  const direction = limited(levels).find((each) => self.spec.shaping?.includes(each) !== true);
  if (direction === undefined) return;
  throw new Fault("qos-unsupported", {
    what: `host "${self.name}" cannot limit ${direction} traffic`,
    where: `qos.${direction}`,
    why: "its kernel lacks what that needs (docs/qos.md)",
    fix: `load the modules and start the agent again, or attach with --${direction} none`,
  });
}

/** A new endpoint's own limits, canonical; throws a Fault `qos-invalid` if they cannot be understood. */
export function limitsIn(claim: Pick<AttachRequest, "qos">): { readonly qos?: Qos } {
  const qos = patched(undefined, parseQos(claim.qos ?? {}, "qos"));
  return qos === undefined ? {} : { qos };
}

/** Nobody asks the server before an attach to a local network, so nobody's rights could be asked. */
export function usersOfLocal(network: string): Fault {
  return new Fault("unsupported", {
    what: `an endpoint in network "${network}" cannot be a user's`,
    where: "userToken",
    why: "it is local: this host allocates without the server, which knows the users and their rights",
    fix: "attach as the host, without the token, or use a global network",
  });
}
