// A network as a CNI configuration list, as `weft network export --cni` prints it and agents write it to
// /etc/cni/net.d. Pure.
import type { Network, Vrf } from "./resource.ts";

/** The default path of the agent's socket for the plugin. */
const USUAL_SOCKET = "/run/weft/agent.sock";

export type CniExport = {
  readonly slice?: string;
  /** Chains the `portmap` plugin behind Weft; the network's VRF then needs `hostAccess`. */
  readonly portmap?: boolean;
  /** The agent's socket, if it is not the default. */
  readonly socket?: string;
};

/**
 * The list, as JSON with a line break at its end. Runtimes that know `cniVersions` (libcni 1.2) choose their newest
 * one, and then call STATUS and GC; older ones use `cniVersion`. `more` are further keys at the top.
 */
export function cniConfigList(network: Network, { slice, portmap, socket }: CniExport, more: object = {}): string {
  const weft = {
    type: "weft",
    network: network.name,
    ...(slice === undefined ? {} : { slice }),
    ...(socket === undefined || socket === USUAL_SOCKET ? {} : { socket }),
    capabilities: { ips: true, mac: true, dns: true, bandwidth: true },
  };
  const list = {
    cniVersion: "1.0.0",
    cniVersions: ["0.3.1", "0.4.0", "1.0.0", "1.1.0"],
    name: slice === undefined ? network.name : `${network.name}-${slice}`,
    ...more,
    plugins: [weft, ...(portmap === true ? [{ type: "portmap", capabilities: { portMappings: true } }] : [])],
  };
  return `${JSON.stringify(list, undefined, 2)}\n`;
}

/** What Kubernetes, or `portmap`, would lack with a network, as a line for people; empty if nothing. */
export function shortcomings({ name, spec }: Network, vrf: Vrf, portmap: boolean): string {
  // In its own namespace a host reaches the endpoints, and what it publishes reaches them.
  const access = vrf.spec.hostAccess || vrf.spec.placement === "host" ? [] : [`hostAccess on VRF ${vrf.name}`];
  const missing = [...(spec.ipam === "local" ? [] : [`ipam local (${name} is global)`]), ...access];
  const whose = portmap && access.length > 0 ? "portmap and Kubernetes need" : "Kubernetes needs";
  return missing.length === 0 ? "" : `note: ${whose} ${missing.join(" and ")}; see docs/cni.md\n`;
}

/** For people; undefined if no files are kept. */
export function cniText({ spec: { cni } }: Network): string | undefined {
  if (cni === undefined || cni === false) return undefined;
  return `hosts keep a configuration file${cni === "portmap" ? ", with portmap" : ""}`;
}
